"""Number of lanes for a CPU's cores."""

import types

import pytest
import tensorflow as tf

from tfpar.cluster import cpu_lanes, make_strategy, strategy, usable_cores


def stand_in(replicas, here):
    """Make an object with the attributes that `cpu_lanes` reads: replicas, and those of this process."""
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
def test_a_lane_for_each_core_if_they_divide_the_rows(cores, replicas, batch_size, lanes, monkeypatch):
    monkeypatch.setattr(strategy, "usable_cores", lambda: cores)
    assert cpu_lanes(stand_in(replicas, replicas), batch_size) == lanes


@pytest.mark.parametrize("cores, workers, batch_size, lanes", [(4, 2, 64, 4), (4, 2, 6, 3), (1, 2, 64, 1)])
def test_replicas_of_other_workers_have_cores_of_their_own(cores, workers, batch_size, lanes, monkeypatch):
    monkeypatch.setattr(strategy, "usable_cores", lambda: cores)
    assert cpu_lanes(stand_in(workers, 1), batch_size) == lanes


def test_the_default_strategy(monkeypatch):
    monkeypatch.setattr(strategy, "usable_cores", lambda: 4)
    assert cpu_lanes(make_strategy("one"), 64) == 4


@pytest.mark.parametrize("kind", ["GPU", "TPU"])
def test_one_lane_with_an_accelerator(kind, monkeypatch):
    monkeypatch.setattr(strategy, "usable_cores", lambda: 8)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda asked: ["device"] if asked == kind else [])
    assert cpu_lanes(stand_in(1, 1), 64) == 1


def test_at_least_one_core_is_usable():
    assert usable_cores() >= 1
