"""Two replicas end where one ends: weights, losses and answers, for whatever optimizers and layers can do."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(280)

SCRIPT = Path(__file__).parents[1] / "support" / "mirrored_cases.py"


def _cases():
    """Names in the script's table, read without running it."""
    for node in ast.parse(SCRIPT.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "CASES":
            return [key.value for key in node.value.keys]
    raise LookupError("no CASES")


@pytest.fixture(scope="module")
def results():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=270)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", _cases())
def test_equals_one_device(results, case):
    result = results[case]
    assert "error" not in result, result["error"]
    assert result["moved"] > 1e-2, "nothing was learned, so nothing was compared"
    assert result["weights"] < 1e-5
    assert result["answers"] < 1e-5
    assert result["xla"] == case.endswith("_xla")


def test_auto_is_xla_under_a_strategy(results):
    assert results["auto"] == {"jit_compile": True}


def test_a_stateful_layer_is_refused(results):
    assert "stateful=True cannot be trained on 2 replicas" in results["stateful"]["refused"]


def test_an_own_train_step_is_refused(results):
    message = results["train_step"]["refused"]
    assert "Own has its own `train_step`, which cannot run on 2 replicas" in message
    assert "Override `forward_backward` instead, or use one replica" in message
