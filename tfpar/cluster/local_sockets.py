"""Sockets between the workers of one host, for short messages and for descriptors of open files."""

import contextlib
import hashlib
import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tfpar.errors import WorkerMissingError

_RETRY_S = 0.02


def host_identity() -> str:
    """Return 16 hexadecimal digits, equal for processes of one Linux host and one network namespace.

    Other systems have no such sockets, and each process gets digits of its own.
    """
    if sys.platform != "linux":
        return os.urandom(8).hex()
    boot, namespace = Path("/proc/sys/kernel/random/boot_id").read_text(), os.stat("/proc/self/ns/net")
    return hashlib.sha256(f"{boot} {namespace.st_dev} {namespace.st_ino}".encode()).hexdigest()[:16]


def connect_workers(addresses: Sequence[str], index: int, timeout_s: float) -> dict[int, socket.socket]:
    """Connect all pairs of workers of one host.

    Args:
        addresses: "host:port" of all workers.
        index: of this process.
        timeout_s: longest wait for the others; also the sockets' time limit.

    Returns:
        A socket for each other worker, by its index, in ascending order.

    Raises:
        WorkerMissingError: some did not connect in time.
    """
    deadline = time.monotonic() + timeout_s
    with _new_socket() as listener:
        listener.bind(_make_name(addresses[index]))
        listener.listen(len(addresses))
        # Each connects to the workers before it, and accepts those after it.
        sockets = {peer: _connect(addresses[peer], index, deadline) for peer in range(index)}
        while len(sockets) < len(addresses) - 1:
            listener.settimeout(max(deadline - time.monotonic(), _RETRY_S))
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                break
            sockets[int(connection.recv(16))] = connection
    missing = [peer for peer in range(len(addresses)) if peer != index and sockets.get(peer) is None]
    if missing:
        raise WorkerMissingError({peer: addresses[peer] for peer in missing}, timeout_s)
    for connection in sockets.values():
        connection.settimeout(timeout_s)
    return dict(sorted(sockets.items()))


def _connect(address, index, deadline):
    """Connect to the worker at `address`; return None if it does not listen before the deadline."""
    while time.monotonic() < deadline:
        connection = _new_socket()
        with contextlib.suppress(OSError):  # it does not listen yet
            connection.connect(_make_name(address))
            connection.send(b"%d" % index)
            return connection
        connection.close()
        time.sleep(_RETRY_S)
    return None


def _new_socket():
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def _make_name(address):
    """Make an abstract socket name, which disappears with the process."""
    return f"\0tfpar {address}"
