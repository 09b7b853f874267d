"""Strategies that are made: their devices, and errors if TensorFlow has started before."""

import json
import time

import pytest
import tensorflow as tf
from fork_server import run_fork
from isolated import free_ports

from tfpar.cluster import Machines, choose_strategy, make_strategy, tpu
from tfpar.cluster import strategy as strategy_module
from tfpar.errors import UserError, WorkerMissingError

pytestmark = pytest.mark.timeout(120)

PROGRAM = """
import json, tensorflow as tf
from tfpar.cluster import make_strategy
from tfpar.errors import UserError

strategy = make_strategy("mirrored", replicas=2)
again = make_strategy("mirrored", replicas=2)
answer = {
    "type": type(strategy).__name__,
    "replicas": strategy.num_replicas_in_sync,
    "same": again is strategy,
    "devices": len(tf.config.list_logical_devices("CPU")),
    "choice": str(strategy.tfpar_choice),
}
try:
    make_strategy("mirrored", replicas=3)
except UserError as error:
    answer["too_late"] = str(error)
print(json.dumps(answer))
"""


def test_mirrored_and_too_late():
    done = run_fork(["-c", PROGRAM], timeout=100)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer == {
        "type": "MirroredStrategy",
        "replicas": 2,
        "same": True,
        "devices": 2,
        "choice": "mirrored, 2 x CPU, since it was requested",
        "too_late": "Cannot make 3 CPU devices: TensorFlow has already started with 2. "
        "Call tfpar.cluster.make_strategy before anything else uses TensorFlow, such as a tensor, a dataset, `adapt` "
        "or a model.",
    }


def test_another_number_of_gpus_is_refused(monkeypatch):
    """Without GPUs only the choice can be tested."""
    monkeypatch.setattr(strategy_module, "_made", {("mirrored", "GPU", 2, None): None})
    with pytest.raises(
        UserError, match=r"must stay \('mirrored', 2, None\) in this process.* got \('mirrored', 4, None\)"
    ):
        strategy_module._check_collisions(choose_strategy("mirrored", 4, Machines(gpus=4)))
    strategy_module._check_collisions(choose_strategy("tpu", 0, Machines(tpus=8)))


def test_two_strategies_of_the_same_workers_are_refused(monkeypatch):
    monkeypatch.setattr(strategy_module, "_made", {("multiworker", "CPU", 2, None): None})
    choice = choose_strategy("sequence", 0, Machines(workers=2))
    strategy_module._check_collisions(choice)  # without TF_CONFIG
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    with pytest.raises(UserError, match="`name` must be .*; got 'sequence' after the other. Start a new process"):
        strategy_module._check_collisions(choice)


def test_another_mesh_of_the_same_workers_is_refused(monkeypatch):
    monkeypatch.setattr(strategy_module, "_made", {("sequence", "CPU", 2, None): None})
    cluster = {"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(cluster))
    choice = choose_strategy("sequence", 0, Machines(workers=2), (1, 2))
    with pytest.raises(UserError, match=r"`mesh_shape` must stay the same .*; got \(1, 2\) after another"):
        strategy_module._check_collisions(choice)


@pytest.mark.parametrize("name", ["one", "auto"])
def test_one_device_is_the_default_strategy(name):
    strategy = make_strategy(name)
    assert strategy is tf.distribute.get_strategy()
    assert (strategy.num_replicas_in_sync, strategy.tfpar_choice.name) == (1, "one")


@pytest.mark.parametrize("replicas", [-1, 1.5, "two"])
def test_refuses_odd_numbers(replicas):
    with pytest.raises(ValueError, match="`replicas`, expected a positive integer"):
        make_strategy("mirrored", replicas=replicas)


def in_cluster(monkeypatch, workers):
    """Make this process worker 0 of a cluster whose others never start; return the addresses."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    return addresses


@pytest.mark.parametrize("name", ["multiworker", "auto"])
def test_a_worker_that_never_starts_is_named(name, monkeypatch):
    addresses = in_cluster(monkeypatch, 2)
    before = time.monotonic()
    with pytest.raises(WorkerMissingError, match=f"worker 1 at {addresses[1]} did not come within 2 s") as caught:
        make_strategy(name, timeout_s=2.0)
    assert 2 <= time.monotonic() - before < 8
    assert caught.value.workers == {1: addresses[1]}


@pytest.mark.parametrize("name", ["one", "mirrored"])
def test_one_process_is_refused_among_several(name, monkeypatch):
    in_cluster(monkeypatch, 2)
    with pytest.raises(UserError, match="TF_CONFIG names 2 workers"):
        make_strategy(name)


def test_multiworker_without_workers(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(UserError, match="needs the environment variable TF_CONFIG"):
        make_strategy("multiworker")


def test_replicas_that_the_workers_do_not_have(monkeypatch):
    in_cluster(monkeypatch, 2)
    with pytest.raises(UserError, match=r"`replicas` is 4, but 2 worker\(s\) have 2 replica"):
        make_strategy("multiworker", replicas=4)


@pytest.mark.parametrize("tpu_name", [None, "no-such-tpu"])
def test_a_tpu_is_refused_at_once_where_there_is_none(tpu_name, monkeypatch):
    if tpu_name is None:
        monkeypatch.delenv("TPU_NAME", raising=False)
    else:
        monkeypatch.setenv("TPU_NAME", tpu_name)
    before = time.monotonic()
    with pytest.raises(UserError, match="strategy 'tpu' needs a TPU, and TensorFlow finds none"):
        make_strategy("tpu")
    assert time.monotonic() - before < 20


def test_the_cores_that_a_stand_in_for_tpu_connect_finds_are_counted(monkeypatch):
    monkeypatch.setattr(tpu, "connect", lambda: 8)
    with pytest.raises(UserError, match="`replicas` is 3, but there are 8 TPU cores"):
        make_strategy("tpu", replicas=3)
