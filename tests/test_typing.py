"""Type checks of the package, and of users' scripts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

_ROOT = Path(__file__).parents[1]

_SCRIPT = """
import keras  # type: ignore[import-untyped]
import numpy as np

import tfpar

strategy = tfpar.cluster.make_strategy("mirrored", replicas=2)
tokens = keras.Input((None,), dtype="int32")
x = keras.layers.Embedding(20_000, 128, mask_zero=True)(tokens)
x = tfpar.layers.Bidirectional(tfpar.layers.LSTM(128, activation="tanh", return_sequences=False))(x)
model = tfpar.train.Model(tokens, keras.layers.Dense(1)(x))
model.compile("adam", loss="mse", jit_compile=True)
model.fit(np.zeros((4, 5)), np.zeros((4, 1)), epochs=3)
model.train_on_batch(np.zeros((4, 5)), np.zeros((4, 1)), return_dict=True)
loss: float = model.evaluate(np.zeros((4, 5)), np.zeros((4, 1)), verbose=0)
outputs = model.predict(np.zeros((4, 5)))
model.save("model.keras")
chain = tfpar.train.Sequential([keras.Input((5, 3)), tfpar.layers.GRU(4)])
chain.load_weights("model.weights.h5", skip_mismatch=True)
report = tfpar.export.tflite(model, "model.tflite", quantize="int8", calibration=np.zeros((4, 5)))
print(report["bytes"], outputs, tfpar.layers.GRU(4).explain(), tfpar.from_keras)
"""

_MISTAKES = {
    "tfpar.exports": "attr-defined",
    "tfpar.export.tflit(1)": "attr-defined",
    "tfpar.layers.LSTMM(3)": "attr-defined",
    "tfpar.layers.LSTM('3')": "arg-type",
    "tfpar.train.Model().fit(epoch=1)": "call-arg",
    "tfpar.train.Model().fit(epochs='1')": "arg-type",
    "tfpar.train.Model().evaluate(verbose=None)": "arg-type",
    "tfpar.train.Model().predict()": "call-arg",
    "tfpar.train.Model().train_on_batch()": "call-arg",
    "tfpar.train.Model().compile(jit=True)": "call-arg",
    "tfpar.train.Model().save(3)": "arg-type",
}


def _check(script: str, directory: Path) -> list[str]:
    """Run mypy on a script; return the lines of its output."""
    pytest.importorskip("mypy")
    path = directory / "script.py"
    path.write_text(script)
    options = ["--strict", "--follow-imports=silent", "--hide-error-context", "--no-error-summary"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "--cache-dir", str(directory / "cache"), str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": str(_ROOT)},
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


def test_the_package_has_no_type_errors(tmp_path):
    pytest.importorskip("mypy")
    options = ["--check-untyped-defs", "--ignore-missing-imports", "--cache-dir", tmp_path]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "tfpar"], capture_output=True, text=True, cwd=_ROOT, timeout=600
    )
    assert done.returncode == 0, done.stdout


def test_a_script_has_no_type_errors(tmp_path):
    assert _check(_SCRIPT, tmp_path) == []


def test_mistakes_are_type_errors(tmp_path):
    errors = [line for line in _check("\n".join(["import tfpar", *_MISTAKES]), tmp_path) if ": error: " in line]
    found = {int(error.split(":")[1]): error.rpartition("[")[2].rstrip("]") for error in errors}
    assert found == dict(enumerate(_MISTAKES.values(), start=2)), "\n".join(errors)
