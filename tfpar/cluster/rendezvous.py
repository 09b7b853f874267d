"""Rendezvous of all workers before TensorFlow starts.

A worker whose peers never start hangs inside TensorFlow with the interpreter's lock held, where no Python timer can end
the wait. So workers first meet over plain sockets, on the ports that TensorFlow's servers will use.

Each worker greets every other, and returns once every other has greeted it. So no port is closed, to be reopened by
TensorFlow's server a moment later, while another worker still connects to it. A worker that is restarted alone, which
TensorFlow would let hang, fails here: the others' servers accept its connection, but send no greeting.
"""

import contextlib
import errno
import re
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tfpar.cluster.local_sockets import host_identity
from tfpar.cluster.tf_config import split_address
from tfpar.errors import UserError, WorkerMissingError

RETRY_S = 0.1
# Time limit of one connection: above one second, after which a lost packet is sent again.
CONNECT_S = 1.5
GREETING = re.compile(rb"tfpar worker ([0-9]{1,6}) on host ([0-9a-f]{16})\n")


def wait_for_workers(addresses: Sequence[str], index: int, timeout_s: float) -> bool:
    """Wait until all workers have met. Each calls this before it starts TensorFlow's server.

    Args:
        addresses: "host:port" of all workers.
        index: of this process.
        timeout_s: longest wait for the others.

    Returns:
        Whether they are all on one host, so that `tfpar.cluster.local_sockets` can connect them.

    Raises:
        UserError: this worker's own port is in use, or an address is malformed.
        WorkerMissingError: some did not start in time.
    """
    peers = set(range(len(addresses))) - {index}
    if not peers:
        return True
    deadline = time.monotonic() + timeout_s
    own_host = host_identity()
    greeting, hosts = f"tfpar worker {index} on host {own_host}\n".encode(), {own_host}
    ungreeted, unheard = set(peers), set(peers)
    with _listen(addresses[index], index, len(addresses)) as listener:
        while ungreeted or unheard:
            remaining_s = deadline - time.monotonic()
            ungreeted = set(_send_to_all(addresses, ungreeted, min(CONNECT_S, max(remaining_s, RETRY_S)), greeting))
            for peer, host in _receive_greetings(listener, RETRY_S):
                hosts.add(host)
                if peer in peers - unheard:  # it has been restarted, and has not received our greeting
                    ungreeted.add(peer)
                unheard.discard(peer)
            if (ungreeted or unheard) and time.monotonic() >= deadline:
                raise WorkerMissingError({peer: addresses[peer] for peer in sorted(ungreeted | unheard)}, timeout_s)
    return len(hosts) == 1


def unreachable_workers(addresses: Sequence[str], index: int, timeout_s: float = 1.0) -> list[int]:
    """List the workers that accept no connection now: those that have ended, or whose host is down.

    A process that is stopped or hangs is not listed, since its kernel still accepts connections.

    Args:
        addresses: "host:port" of all workers.
        index: of this process.
        timeout_s: time limit of each connection; all are made at once.

    Returns:
        Indices, in ascending order.
    """
    return _send_to_all(addresses, set(range(len(addresses))) - {index}, timeout_s, b"")


def _send_to_all(addresses, peers, timeout_s, message) -> list[int]:
    """Send `message` to all peers at once, and return those that did not receive it."""
    targets = {peer: split_address(addresses[peer]) for peer in sorted(peers)}
    if not targets:
        return []
    with ThreadPoolExecutor(min(len(targets), 64)) as pool:
        received = pool.map(lambda target: _send(target, timeout_s, message), targets.values())
        return [peer for peer, is_received in zip(targets, received, strict=True) if not is_received]


def _send(target, timeout_s, message) -> bool:
    try:
        with socket.create_connection(target, timeout_s) as connection:
            # If no process listens, the system may choose the target's port as the local one, and connect the socket to
            # itself.
            if connection.getsockname() == connection.getpeername():
                return False
            connection.sendall(message)
            return True
    except OSError:
        return False


def _receive_greetings(listener, duration_s) -> Iterator[tuple[int, str]]:
    """Yield the index and the host in each greeting that arrives within `duration_s`."""
    deadline = time.monotonic() + duration_s
    while (remaining_s := deadline - time.monotonic()) > 0:
        listener.settimeout(remaining_s)
        with contextlib.suppress(OSError):  # no connection, or one that was closed
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(CONNECT_S)
                greeting = GREETING.fullmatch(connection.recv(64))
            if greeting:
                yield int(greeting[1]), greeting[2].decode()


def _listen(address, index, workers) -> socket.socket:
    """Listen on all interfaces, as TensorFlow's server will: the host in `address` may be a router's name for it."""
    host, port = split_address(address)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server(("", port), family=family, backlog=workers + 16)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"worker {index} cannot listen at {address}: another process has taken port {port}. End it, or give "
                "the worker another port in TF_CONFIG, on all workers"
            ) from error
        raise UserError(f"worker {index} cannot listen at {address}: {error.strerror or error}") from error
