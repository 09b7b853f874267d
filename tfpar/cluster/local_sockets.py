"""Sockets between the workers of one host, which carry short messages whole, and the descriptors of open files."""

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
    """16 hexadecimal digits, equal for processes whose sockets can meet: those of one Linux and one network namespace.

    Elsewhere there are no such sockets, and each process has an identity of its own.
    """
    if sys.platform != "linux":
        return os.urandom(8).hex()
    boot, namespace = Path("/proc/sys/kernel/random/boot_id").read_text(), os.stat("/proc/self/ns/net")
    return hashlib.sha256(f"{boot} {namespace.st_dev} {namespace.st_ino}".encode()).hexdigest()[:16]


def connect_workers(addresses: Sequence[str], index: int, timeout_s: float) -> dict[int, socket.socket]:
    """Connects workers of one host, each with each.

    Args:
        addresses: "host:port" of all workers.
        index: which of them this process is.
        timeout_s: longest wait for the others; also the sockets' time limit.

    Returns:
        A socket for each other worker, by its index, in ascending order.

    Raises:
        WorkerMissingError: some did not come in time.
    """
    deadline = time.monotonic() + timeout_s
    with _new_socket() as listener:
        listener.bind(_name(addresses[index]))
        listener.listen(len(addresses))
        # Each calls those before it, and is called by those after it.
        sockets = {peer: _call(addresses[peer], index, deadline) for peer in range(index)}
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


def _call(address, index, deadline):
    """A socket to the worker at `address`, or None."""
    while time.monotonic() < deadline:
        connection = _new_socket()
        with contextlib.suppress(OSError):  # it does not listen yet
            connection.connect(_name(address))
            connection.send(b"%d" % index)
            return connection
        connection.close()
        time.sleep(_RETRY_S)
    return None


def _new_socket():
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def _name(address):
    """A name beside the file system, which is gone with the process."""
    return f"\0tfpar {address}"
