"""What is chosen and what is refused on two replicas. That they end where one ends is tested in `test_equality.py`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(120)

SCRIPT = Path(__file__).parents[1] / "support" / "mirrored_cases.py"


@pytest.fixture(scope="module")
def results():
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_auto_is_xla_under_a_strategy(results):
    assert results["auto"] is True


def test_auto_leaves_xla_where_a_layer_asks_all_replicas(results):
    assert results["auto_synchronized"] is False


def test_a_stateful_layer_is_refused(results):
    assert "stateful=True cannot be trained on 2 replicas" in results["stateful"]


def test_an_own_train_step_is_refused(results):
    message = results["train_step"]
    assert "Own has its own `train_step`, which cannot run on 2 replicas" in message
    assert "Override `forward_backward` instead, or use one replica" in message


def test_synchronised_statistics_need_whole_shares_and_no_xla(results):
    assert "synchronized=True" in results["synchronized_xla"] and "jit_compile" in results["synchronized_xla"]
    assert "synchronized=True" in results["synchronized_lanes"] and "lanes" in results["synchronized_lanes"]


def test_a_metric_made_outside_of_the_scope_is_refused(results):
    message = results["metric_of_no_scope"]
    assert "The variable 'mean_absolute_error/total' of a metric was made outside of the strategy's scope" in message
    assert "Make metrics, and call `compile`, within `with strategy.scope():`" in message
