"""The `tfpar` command as a process, and an export for it to work on."""

import dataclasses
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[2] / "recipes" / "sentiment.py"


@dataclasses.dataclass(frozen=True)
class Run:
    """What a command left, and the processor time that it took."""

    returncode: int
    stdout: str
    stderr: str
    user_s: float

    @property
    def error(self) -> str:
        """The one line that a command which refused its input leaves on stderr."""
        assert (self.returncode, self.stdout) == (2, ""), self.stderr
        (line,) = self.stderr.splitlines()
        assert line.startswith("error: ")
        return line


@pytest.fixture(scope="session")
def tfpar(tmp_path_factory):
    """`tfpar("predict", ..., stdin=b"")` -> Run, in an empty directory."""
    directory = tmp_path_factory.mktemp("commands")

    def run(*arguments, stdin: str | bytes = b"", python=("-m", "tfpar")) -> Run:
        stdin = stdin if isinstance(stdin, bytes) else stdin.encode()
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        command = [sys.executable, *python, *map(os.fspath, arguments)]
        done = subprocess.run(command, input=stdin, capture_output=True, cwd=directory)
        user_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        return Run(done.returncode, done.stdout.decode(), done.stderr.decode(), user_s)

    return run


@pytest.fixture(scope="session")
def export_dir(tmp_path_factory):
    """What the sentiment recipe leaves; tests that change it copy it first."""
    path = tmp_path_factory.mktemp("smoke") / "export"
    flags = ["--smoke", "--noxla", "--export_dir", path, "--export", "saved_model,float32,int8"]
    done = subprocess.run([sys.executable, RECIPE, *flags], capture_output=True, text=True, cwd=path.parent)
    assert done.returncode == 0, done.stderr
    return path
