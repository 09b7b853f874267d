"""Choices and refusals on two replicas; `test_equality.py` tests that training equals that of one device."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from fork_server import run_fork

pytestmark = pytest.mark.timeout(120)

SCRIPT = Path(__file__).parents[1] / "support" / "mirrored_cases.py"


@pytest.fixture(scope="module")
def results():
    done = run_fork([SCRIPT], timeout=110)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_auto_is_xla_under_a_strategy(results):
    assert results["auto"] is True


def test_auto_is_no_xla_with_synchronized_layers(results):
    assert results["auto_synchronized"] is False


def test_a_step_before_any_data_is_refused(results):
    assert "need a loss that was built from data on 2 replicas" in results["unbuilt"]


def test_a_stateful_layer_is_refused(results):
    assert "stateful=True cannot be trained on 2 replicas" in results["stateful"]


def test_an_own_train_step_is_refused(results):
    message = results["train_step"]
    assert "Own has its own `train_step`, which cannot run on 2 replicas" in message
    assert "Override `forward_backward` instead, or use one replica" in message


def test_synchronized_statistics_need_one_lane_and_no_xla(results):
    assert "synchronized=True" in results["synchronized_xla"] and "jit_compile" in results["synchronized_xla"]
    assert "synchronized=True" in results["synchronized_lanes"] and "lanes" in results["synchronized_lanes"]


@pytest.mark.parametrize(
    "case, message",
    [
        ("model", "The layers of a model on 2 replicas must be made within.* its variable 'dense"),
        ("layer", "The layers of a model on 2 replicas must be made within.* its variable 'dense"),
        ("optimizer", "The optimizer of a model on 2 replicas must be made within.* its variable 'adam/iteration'"),
        ("compile", "The optimizer of a model on 2 replicas must be made within.* its variable 'sgd"),
        (
            "metric",
            "The metrics of a model on 2 replicas must be made within.* its variable 'mean_absolute_error",
        ),
        ("fit", "The optimizer must be made outside of a strategy's scope, as the model was; .* within `with strategy"),
    ],
)
def test_objects_made_outside_of_the_scope_are_refused(results, case, message):
    assert re.match(message, results["outside"][case])


def test_adapted_statistics_may_come_from_outside_of_the_scope(results):
    first, second = results["adapted"]
    np.testing.assert_allclose(first, second, rtol=1e-5)


def test_models_of_different_sizes_train_alternately(results):
    """As in a notebook cell that is run twice, or in cross-validation."""
    two_replicas, one_replica = results["alternately"]
    np.testing.assert_allclose(two_replicas, one_replica, rtol=1e-5)


def test_collectives_of_a_second_stock_strategy_fail_with_an_explanation(results):
    assert "there are two strategies of the same devices. Start a new process" in results["stock_strategies"]


def test_a_failed_step_does_not_block_later_ones(results):
    assert results["after_failure"] == results["alternately"][0][0]
