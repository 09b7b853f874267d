"""Sockets between the workers of one host, for short messages and for descriptors of open files.

Their names are visible to all users of the host. So both ends check that the other process belongs to the same user
(SO_PEERCRED) and knows the cluster's secret.
"""

import contextlib
import hashlib
import os
import socket
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tfpar.cluster.secret import is_signed, make_nonce, sign
from tfpar.errors import WorkerMissingError

_RETRY_S = 0.02
# Time limit of a process that connects: one that knows the secret replies at once.
_EXCHANGE_S = 5.0
_MESSAGE_BYTES = 256


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
        sockets = {peer: _connect(addresses[peer], index, peer, deadline) for peer in range(index)}
        while len(sockets) < len(addresses) - 1:
            listener.settimeout(max(deadline - time.monotonic(), _RETRY_S))
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                break
            peer = _identify(connection, index)
            if peer is None or not index < peer < len(addresses):
                connection.close()
            else:
                sockets[peer] = connection
    missing = [peer for peer in range(len(addresses)) if peer != index and sockets.get(peer) is None]
    if missing:
        raise WorkerMissingError({peer: addresses[peer] for peer in missing}, timeout_s)
    for connection in sockets.values():
        connection.settimeout(timeout_s)
    return dict(sorted(sockets.items()))


def _connect(address, index, peer, deadline):
    """Connect to the worker at `address`; return None if it does not accept before the deadline."""
    while (remaining_s := deadline - time.monotonic()) > 0:
        connection = _new_socket()
        connection.settimeout(remaining_s)
        with contextlib.suppress(OSError):  # it does not listen yet
            connection.connect(_make_name(address))
            if _is_of_same_user(connection) and _introduce(connection, index, peer):
                return connection
        connection.close()
        time.sleep(_RETRY_S)
    return None


def _introduce(connection, index, peer) -> bool:
    """Prove that this is worker `index`, and return whether the other end is worker `peer`."""
    challenge, nonce = connection.recv(_MESSAGE_BYTES).decode("ascii", "replace"), make_nonce()
    connection.send(f"{index} {nonce} {sign('local', challenge, nonce, index, peer)}".encode())
    return is_signed(connection.recv(_MESSAGE_BYTES).decode("ascii", "replace"), "accepted", nonce, challenge)


def _identify(connection, index) -> int | None:
    """Return which worker has connected to worker `index`; None if it is none of this cluster and user."""
    connection.settimeout(_EXCHANGE_S)
    challenge = make_nonce()
    with contextlib.suppress(OSError, ValueError):  # it closes the connection, or sends something else
        if not _is_of_same_user(connection):
            return None
        connection.send(challenge.encode())
        peer, nonce, signature = connection.recv(_MESSAGE_BYTES).decode("ascii").split(" ")
        if is_signed(signature, "local", challenge, nonce, int(peer), index):
            connection.send(sign("accepted", nonce, challenge).encode())
            return int(peer)
    return None


def _is_of_same_user(connection) -> bool:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return user == os.geteuid()


def _new_socket():
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def _make_name(address):
    """Make an abstract socket name, which disappears with the process."""
    return f"\0tfpar {address}"
