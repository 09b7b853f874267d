"""The `tfpar` command as a process, and an export for it to work on."""

import dataclasses
import json
import math
import os
import resource
import subprocess
import sys
import tempfile

import numpy as np
import pytest
from fork_server import run_fork
from PIL import Image

OWN_PROCESS = ("-m", "tfpar")


@dataclasses.dataclass(frozen=True)
class Run:
    """Outputs of a command, and its processor time."""

    returncode: int
    stdout: str
    stderr: str
    user_s: float

    @property
    def result(self) -> dict:
        """The one JSON object of a command that went well."""
        assert self.returncode == 0, self.stderr
        (line,) = self.stdout.splitlines()
        return json.loads(line)

    @property
    def error(self) -> str:
        """The one line on stderr of a command that refused its input."""
        assert (self.returncode, self.stdout) == (2, ""), self.stderr
        (line,) = self.stderr.splitlines()
        assert line.startswith("error: ")
        return line


# These start no workers and measure no time, so a fork will do.
FORKED = ("export", "predict", "evaluate", "verify", "seal", "unseal")


@pytest.fixture(scope="session")
def tfpar(tmp_path_factory):
    """`tfpar("predict", ..., stdin=b"")` -> Run, in an empty directory; with `python` in a process of its own."""
    directory = tmp_path_factory.mktemp("commands")

    def run(*arguments, stdin: str | bytes = b"", python=None) -> Run:
        stdin, arguments = stdin if isinstance(stdin, bytes) else stdin.encode(), [*map(os.fsdecode, arguments)]
        if python is None and arguments and arguments[0] in FORKED:
            with tempfile.TemporaryFile() as file:
                file.write(stdin)
                file.seek(0)
                done = run_fork(["-m", "tfpar", *arguments], stdin=file, cwd=directory, timeout=280)
            return Run(done.returncode, done.stdout, done.stderr, math.nan)
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        command = [sys.executable, *(python or OWN_PROCESS), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, cwd=directory)
        user_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        return Run(done.returncode, done.stdout.decode(), done.stderr.decode(), user_s)

    return run


@pytest.fixture(scope="session")
def export_dir(sentiment_smoke):
    """An export of the sentiment recipe; tests that change it copy it first."""
    return sentiment_smoke / "export"


@pytest.fixture(scope="session")
def small_exports(tmp_path_factory):
    """`{"faces": ..., "model": ...}`: an embedder that centers and normalizes pixels (8, 8, 1), y = 2 x for x (3,)."""
    import keras

    import tfpar

    directory = tmp_path_factory.mktemp("small")
    image, x = keras.Input((8, 8, 1), name="image"), keras.Input((3,), name="x")
    centered = keras.layers.Rescaling(1 / 255, offset=-0.5)(keras.layers.Flatten()(image))
    models = {
        "faces": keras.Model(image, keras.layers.UnitNormalization(name="embedding")(centered)),
        "model": keras.Model(x, keras.layers.Rescaling(2.0, name="y")(x)),
    }
    facts = {"faces": {"task": "face_verification", "threshold": 0.5}, "model": {"task": "model"}}
    for name, model in models.items():
        with tfpar.export.write_bundle(directory / name, {**facts[name], "exports": [{"format": "float32"}]}) as path:
            tfpar.export.tflite(model, path / "model.float32.tflite")
            (path / "card.md").write_text("Threshold of the cosine: 0.5000.")
    return {name: directory / name for name in models}


@pytest.fixture(scope="session")
def people(tmp_path_factory):
    """A folder of 5 people with 4 noisy pictures each."""
    directory, generator = tmp_path_factory.mktemp("people"), np.random.default_rng(0)
    for person in "abcde":
        face = generator.integers(40, 216, (8, 8))
        (directory / person).mkdir()
        for number in range(4):
            pixels = np.clip(face + generator.normal(0, 40, (8, 8)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(directory / person / f"{number}.png")
    return directory
