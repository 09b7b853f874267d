"""Workers meet before TensorFlow starts, and missing ones are named."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tfpar.cluster.rendezvous import unreachable_workers, wait_for_workers
from tfpar.errors import UserError, WorkerMissingError

pytestmark = pytest.mark.timeout(60)

WORKER = """
import sys, time
from tfpar.cluster.rendezvous import wait_for_workers
index, pause_s, *addresses = sys.argv[1:]
time.sleep(float(pause_s))
wait_for_workers(addresses, int(index), 30)
print("met")
"""


def free_addresses(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [f"127.0.0.1:{held.getsockname()[1]}" for held in sockets]


def port_of(address):
    return int(address.rpartition(":")[2])


def outcome(addresses, index, timeout_s):
    """ "met", or the error."""
    try:
        wait_for_workers(addresses, index, timeout_s)
        return "met"
    except Exception as error:
        return error


def in_threads(addresses, timeout_s=20.0, pauses_s=None):
    """The outcome of each worker."""

    def work(index):
        time.sleep(pauses_s[index] if pauses_s else 0)
        return outcome(addresses, index, timeout_s)

    with ThreadPoolExecutor(len(addresses)) as pool:
        return list(pool.map(work, range(len(addresses))))


def test_one_worker_waits_for_nobody():
    wait_for_workers(["127.0.0.1:1"], 0, 0.0)


@pytest.mark.parametrize("count", [2, 5])
def test_all_meet(count):
    before = time.monotonic()
    assert in_threads(free_addresses(count)) == ["met"] * count
    assert time.monotonic() - before < 5


def test_processes_meet():
    addresses = free_addresses(3)
    commands = [[sys.executable, "-c", WORKER, str(i), str(0.5 * i), *addresses] for i in range(3)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    assert [process.communicate()[0] for process in processes] == ["met\n"] * 3


def test_all_wait_until_the_last_worker_has_met_all():
    before = time.monotonic()
    assert in_threads(free_addresses(3), pauses_s=[0, 0.3, 1.0]) == ["met"] * 3
    assert 1.0 <= time.monotonic() - before < 5


def test_servers_that_send_no_greeting_are_a_running_cluster():
    own, peer = free_addresses(2)
    with socket.create_server(("127.0.0.1", port_of(peer))):
        with pytest.raises(WorkerMissingError, match="restart all workers together"):
            wait_for_workers([own, peer], 0, 0.5)


def test_connections_of_other_programs_are_ignored():
    addresses = free_addresses(2)
    results = []
    waiting = threading.Thread(target=lambda: results.append(outcome(addresses, 0, 1.0)))
    waiting.start()
    while waiting.is_alive():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port_of(addresses[0]))) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        time.sleep(0.05)
    assert isinstance(results[0], WorkerMissingError)


def test_a_worker_that_is_restarted_while_others_wait():
    addresses = free_addresses(3)
    results = {}
    first = threading.Thread(target=lambda: results.update({0: outcome(addresses, 0, 20)}))
    first.start()
    assert list(outcome(addresses, 1, 1.5).workers) == [2]
    rest = [threading.Thread(target=lambda i=i: results.update({i: outcome(addresses, i, 20)})) for i in (1, 2)]
    for thread in rest:
        time.sleep(0.5)
        thread.start()
    for thread in (first, *rest):
        thread.join()
    assert results == {0: "met", 1: "met", 2: "met"}


def test_the_port_is_free_at_once_for_the_server():
    addresses = free_addresses(2)
    assert in_threads(addresses) == ["met", "met"]
    for address in addresses:
        socket.create_server(("", port_of(address))).close()


def test_the_missing_worker_is_named():
    addresses = free_addresses(3)
    before = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        errors = list(pool.map(lambda index: outcome(addresses, index, 1.5), (0, 2)))
    assert 1.4 < time.monotonic() - before < 5
    for error in errors:
        assert f"worker 1 at {addresses[1]} did not come within 1.5 s; start it" in str(error)
        assert error.workers == {1: addresses[1]}
        assert isinstance(error, WorkerMissingError) and not isinstance(error, UserError)


def test_several_missing_workers():
    addresses = free_addresses(3)
    with pytest.raises(WorkerMissingError, match="start them") as caught:
        wait_for_workers(addresses, 0, 0.0)
    assert list(caught.value.workers) == [1, 2]


def test_a_port_in_use():
    addresses = free_addresses(2)
    with socket.create_server(("127.0.0.1", port_of(addresses[1]))):
        with pytest.raises(UserError, match="worker 1 cannot listen") as caught:
            wait_for_workers(addresses, 1, 5)
    assert str(port_of(addresses[1])) in str(caught.value) and "another process" in str(caught.value)


def test_an_unknown_own_host():
    with pytest.raises(UserError, match="worker 0 cannot listen at no-such-host.invalid:2222"):
        wait_for_workers(["no-such-host.invalid:2222", "127.0.0.1:1"], 0, 5)


def test_a_peer_with_an_unknown_host_is_missing():
    (own,) = free_addresses(1)
    with pytest.raises(WorkerMissingError, match="worker 1 at no-such-host.invalid:2222"):
        wait_for_workers([own, "no-such-host.invalid:2222"], 0, 0.2)


def test_unreachable_workers():
    addresses = free_addresses(4)
    with socket.create_server(("127.0.0.1", port_of(addresses[2]))):
        assert unreachable_workers(addresses, 0) == [1, 3]
        assert unreachable_workers(addresses, 3) == [0, 1]
    assert unreachable_workers(addresses[:1], 0) == []
