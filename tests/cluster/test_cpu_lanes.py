"""How many lanes a CPU's cores are worth."""

import types

import pytest
import tensorflow as tf

from tfpar.cluster import cpu_lanes, make_strategy, strategy, usable_cores


def stand_in(replicas, here):
    """What `cpu_lanes` asks a strategy: its replicas, and how many of them are this process'."""
    return types.SimpleNamespace(
        num_replicas_in_sync=replicas, extended=types.SimpleNamespace(worker_devices=("CPU",) * here)
    )


@pytest.mark.parametrize(
    "cores, replicas, batch_size, lanes",
    [
        (1, 1, 64, 1),
        (2, 1, 64, 2),
        (8, 1, 64, 8),
        (8, 2, 64, 4),
        (2, 2, 64, 1),
        (2, 4, 64, 1),
        (6, 1, 64, 4),
        (8, 1, 1, 1),
        (8, 2, 2, 1),
        (8, 4, 12, 1),
        (8, 2, 12, 3),
    ],
)
def test_as_many_as_cores_if_rows_are_shared_evenly(cores, replicas, batch_size, lanes, monkeypatch):
    monkeypatch.setattr(strategy, "usable_cores", lambda: cores)
    assert cpu_lanes(stand_in(replicas, replicas), batch_size) == lanes


@pytest.mark.parametrize("cores, workers, batch_size, lanes", [(4, 2, 64, 4), (4, 2, 6, 3), (1, 2, 64, 1)])
def test_replicas_of_other_workers_have_cores_of_their_own(cores, workers, batch_size, lanes, monkeypatch):
    monkeypatch.setattr(strategy, "usable_cores", lambda: cores)
    assert cpu_lanes(stand_in(workers, 1), batch_size) == lanes


def test_of_the_default_strategy(monkeypatch):
    monkeypatch.setattr(strategy, "usable_cores", lambda: 4)
    assert cpu_lanes(make_strategy("one"), 64) == 4


@pytest.mark.parametrize("kind", ["GPU", "TPU"])
def test_none_but_one_beside_an_accelerator(kind, monkeypatch):
    monkeypatch.setattr(strategy, "usable_cores", lambda: 8)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda asked: ["device"] if asked == kind else [])
    assert cpu_lanes(stand_in(1, 1), 64) == 1


def test_there_is_a_core():
    assert usable_cores() >= 1
