"""How many lanes a CPU's cores are worth."""

import pytest

from tfpar.cluster import cpu_lanes, strategy, usable_cores


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
    ],
)
def test_as_many_as_cores_if_rows_are_shared_evenly(cores, replicas, batch_size, lanes, monkeypatch):
    monkeypatch.setattr(strategy, "usable_cores", lambda: cores)
    assert cpu_lanes(replicas, batch_size) == lanes


def test_there_is_a_core():
    assert usable_cores() >= 1
