"""Models, optimizers and losses on two replicas, and in lanes, equal `keras.Model` on one device."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from isolated import case_names

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPT = Path(__file__).parents[1] / "support" / "as_keras_cases.py"
NAMES = case_names(SCRIPT)


@pytest.fixture(scope="module")
def results():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr[-3000:]
    return {result["case"]: result for result in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", NAMES)
def test_equals_keras(results, name):
    result = results[name]
    assert "error" not in result, result["error"]
    assert max(result["differences"].values()) < 2e-5, result["differences"]


def test_every_optimizer_is_in_the_table():
    classes = [getattr(keras.optimizers, name) for name in dir(keras.optimizers)]
    names = {c.__name__ for c in classes if isinstance(c, type) and issubclass(c, keras.optimizers.Optimizer)}
    assert names - {"Optimizer"} <= set(NAMES)
