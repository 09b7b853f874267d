"""Workers of one host exchange arrays, and lost ones and other calls are errors."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tfpar.cluster.launcher.ports import free_ports
from tfpar.cluster.local_sockets import connect_workers, host_identity
from tfpar.cluster.shared_memory import LostError, OutOfStepError, SharedMemoryCollectives, aligned_empty, aligned_size
from tfpar.errors import WorkerMissingError

pytestmark = pytest.mark.timeout(60)


def addresses(workers):
    return [f"127.0.0.1:{port}" for port in free_ports(workers)]


def in_threads(workers, work, timeout_s=10.0):
    """Return the result of `work(index, collectives)` for each worker, or the error that it raises."""
    names = addresses(workers)

    def run(index):
        try:
            return work(index, SharedMemoryCollectives(names, index, timeout_s))
        except Exception as error:
            return error

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(run, range(workers)))


@pytest.mark.parametrize("workers", [2, 3])
def test_all_get_the_arrays_of_all(workers):
    def arrays(index, call):  # of more rows in some workers, and of more with each call
        numbers = np.random.default_rng([index, call])
        return [
            [numbers.random((3, 5), np.float32), numbers.random((), np.float32), numbers.random(40 * call, np.float32)],
            [np.arange(index + 1)],
            [numbers.random((1000 * call * index, 2))],
        ]

    def work(index, collectives):
        for call in range(5):
            gathered = collectives.all_gather(arrays(index, call))
            assert len(gathered) == workers
            for worker, groups in enumerate(gathered):
                for flat, given in zip(groups, arrays(worker, call), strict=True):
                    begin = 0
                    for array in given:
                        np.testing.assert_array_equal(flat[begin : begin + array.size], array.reshape(-1))
                        begin += aligned_size(array.size, array.itemsize)
                    assert flat.dtype == given[0].dtype
                assert groups[1].size == worker + 1, "nothing behind the last array"
        given = [array for call in range(5) for group in arrays(index, call) for array in group]
        assert collectives.sent_bytes == sum(array.nbytes for array in given)
        return "equal"

    assert in_threads(workers, work) == ["equal"] * workers


def test_a_slow_reader_gets_the_arrays_of_its_call():
    """A worker writes to the other buffer while a peer reads, and to the same one only after that."""

    def work(index, collectives):
        for call in range(6):
            gathered = collectives.all_gather([[np.full(1000, call)]])
            if index:
                time.sleep(0.02)
            for (flat,) in gathered:
                assert (flat == call).all()

    assert in_threads(2, work) == [None, None]


@pytest.mark.parametrize("groups", [[], [[np.zeros(1)], [np.zeros(2)]]])
def test_other_calls_are_refused(groups):
    def work(index, collectives):
        collectives.all_gather([[np.zeros(3)]])
        collectives.all_gather(groups if index else [[np.zeros(3)]])

    for error in in_threads(2, work):
        assert isinstance(error, OutOfStepError)
        assert "hands over other arrays" in str(error)


def test_a_worker_that_makes_no_call_is_named():
    def work(index, collectives):
        if index == 0:
            collectives.all_gather([[np.zeros(3)]])
        time.sleep(1)

    error, _ = in_threads(2, work, timeout_s=0.3)
    assert isinstance(error, LostError)
    assert str(error) == "worker 1 did not respond within 0.3 s"


def test_a_worker_that_ends_is_named_at_once():
    names = addresses(2)
    script = f"from tfpar.cluster.local_sockets import connect_workers; connect_workers({names}, 1, 20.0)"
    with subprocess.Popen([sys.executable, "-c", script]):
        collectives = SharedMemoryCollectives(names, 0, 20.0)
        begin = time.monotonic()
        with pytest.raises(LostError, match="worker 1 has ended"):
            collectives.all_gather([[np.zeros(3)]])
        assert time.monotonic() - begin < 10


@pytest.mark.parametrize("index, missing", [(0, [1, 2]), (1, [0, 2]), (2, [0, 1])])
def test_workers_that_never_connect_are_named(index, missing):
    names = addresses(3)
    with pytest.raises(WorkerMissingError) as raised:
        connect_workers(names, index, 0.2)
    assert sorted(raised.value.workers) == missing


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has sockets that carry files between processes")
def test_a_host_is_the_same_for_all_its_processes():
    script = "from tfpar.cluster.local_sockets import host_identity; print(host_identity())"
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert host_identity() == other.stdout.strip()


def test_on_other_systems_each_process_is_a_host(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert host_identity() != host_identity()
    assert len(host_identity()) == 16


def test_memory_is_aligned():
    for size in (0, 1, 1000):
        array = aligned_empty(size, np.dtype(np.float32))
        assert array.size == size
        assert array.ctypes.data % 64 == 0 or not size
    assert [aligned_size(size, 4) for size in (0, 1, 16, 17)] == [0, 16, 16, 32]
