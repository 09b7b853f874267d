"""A server that listens on all interfaces is bound to the loopback interface."""

import contextlib
import shutil
import socket
import subprocess
import sys

import pytest

from tfpar.cluster.loopback_only import are_loopback, bind_to_loopback

pytestmark = pytest.mark.timeout(60)

NAMESPACE, HERE, THERE = "tfpartest", "192.0.2.129", "192.0.2.130"
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2)"


@pytest.fixture
def other_host():
    """A network namespace that is connected to this host as another host is; returns a command that runs there."""
    if shutil.which("ip") is None:
        pytest.skip("no `ip`")
    commands = [
        f"ip netns add {NAMESPACE}",
        f"ip link add tfpar0 type veth peer name tfpar1 netns {NAMESPACE}",
        f"ip addr add {HERE}/30 dev tfpar0",
        "ip link set tfpar0 up",
        f"ip -n {NAMESPACE} addr add {THERE}/30 dev tfpar1",
        f"ip -n {NAMESPACE} link set tfpar1 up",
    ]
    try:
        for command in commands:
            if subprocess.run(command.split(), capture_output=True).returncode:
                pytest.skip("no permission to make a network namespace")
        yield ["ip", "netns", "exec", NAMESPACE]
    finally:
        subprocess.run(["ip", "link", "del", "tfpar0"], capture_output=True)
        subprocess.run(["ip", "netns", "del", NAMESPACE], capture_output=True)


def test_another_host_can_no_longer_connect(other_host):
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        connect = [*other_host, sys.executable, "-c", CONNECT, HERE, str(port)]
        assert subprocess.run(connect, capture_output=True).returncode == 0
        assert bind_to_loopback(port)
        assert subprocess.run(connect, capture_output=True).returncode == 1
        socket.create_connection(("127.0.0.1", port), 2).close()


def test_without_such_a_socket_nothing_is_bound():
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
    assert not bind_to_loopback(port)
    with contextlib.closing(socket.socket()) as unconnected:
        unconnected.bind(("127.0.0.1", port))
        assert not bind_to_loopback(port)


@pytest.mark.parametrize(
    "addresses, expected",
    [(["127.0.0.1:1", "[::1]:2"], True), (["127.0.0.1:1", "192.0.2.1:2"], False), (["localhost:1"], False)],
)
def test_loopback_addresses(addresses, expected):
    assert are_loopback(addresses) == expected
