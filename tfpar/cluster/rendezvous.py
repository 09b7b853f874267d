"""Rendezvous of all workers before TensorFlow starts.

A worker whose peers never start hangs inside TensorFlow with the interpreter's lock held, where no Python timer can end
the wait. So workers first meet over plain sockets, on the ports that TensorFlow's servers will use.

Each worker greets every other, and returns once every other has greeted it. So no port is closed, to be reopened by
TensorFlow's server a moment later, while another worker still connects to it. A worker that is restarted alone, which
TensorFlow would let hang, fails here: the others' servers accept its connection, but send no greeting.

Each connection is one exchange, in which both ends prove that they know the cluster's secret (`tfpar.cluster.secret`):

    listener     tfpar challenge NONCE
    connector    tfpar worker INDEX on host HOST NONCE SIGNATURE
    listener     tfpar accepted SIGNATURE

All else is ignored, and no connection may take longer than `EXCHANGE_S`.
"""

import contextlib
import errno
import ipaddress
import queue
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from tfpar.cluster.local_sockets import host_identity
from tfpar.cluster.secret import is_signed, make_nonce, sign
from tfpar.cluster.tf_config import split_address
from tfpar.errors import UserError, WorkerMissingError

RETRY_S = 0.1
# Time limit of one connection: above one second, after which a lost packet is sent again.
CONNECT_S = 1.5
EXCHANGE_S = 5.0
CHALLENGE = re.compile(r"tfpar challenge ([0-9a-f]{32})\n")
GREETING = re.compile(r"tfpar worker ([0-9]{1,6}) on host ([0-9a-f]{16}) ([0-9a-f]{32}) ([0-9a-f]{64})\n")
ACCEPTED = re.compile(r"tfpar accepted ([0-9a-f]{64})\n")

_LONGEST_LINE_BYTES = 256
_MOST_CONNECTIONS = 256


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
    hosts = {host_identity()}
    ungreeted, unheard = set(peers), set(peers)
    with _Listener(addresses[index], index, len(addresses)) as listener:
        while ungreeted or unheard:
            ungreeted -= _greet(addresses, index, ungreeted, deadline)
            for peer, host in listener.receive(RETRY_S):
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
    peers = sorted(set(range(len(addresses))) - {index})
    reached = _in_threads(lambda peer: _is_reachable(split_address(addresses[peer]), timeout_s), peers)
    return [peer for peer, is_reached in zip(peers, reached, strict=True) if not is_reached]


def _in_threads(function, peers) -> list:
    with ThreadPoolExecutor(min(max(len(peers), 1), 64)) as pool:
        return list(pool.map(function, peers))


def _is_reachable(target, timeout_s) -> bool:
    try:
        with _connect(target, timeout_s):
            return True
    except OSError:
        return False


def _connect(target, timeout_s) -> socket.socket:
    connection = socket.create_connection(target, timeout_s)
    # If no process listens, the system may choose the target's port as the local one, and connect the socket to itself.
    if connection.getsockname() == connection.getpeername():
        connection.close()
        raise ConnectionRefusedError
    return connection


def _greet(addresses, index, peers, deadline) -> set[int]:
    """Greet all peers at once, and return those that accepted the greeting."""
    remaining_s = max(deadline - time.monotonic(), RETRY_S)

    def greet(peer):
        try:
            with _connect(split_address(addresses[peer]), min(CONNECT_S, remaining_s)) as connection:
                return _exchange_as_connector(connection, index, peer, min(EXCHANGE_S, remaining_s))
        except OSError:
            return False

    peers = sorted(peers)
    return {peer for peer, is_accepted in zip(peers, _in_threads(greet, peers), strict=True) if is_accepted}


def _exchange_as_connector(connection, index, peer, duration_s) -> bool:
    deadline = time.monotonic() + duration_s
    challenge = CHALLENGE.fullmatch(_read_line(connection, deadline))
    if challenge is None:
        return False
    host, nonce = host_identity(), make_nonce()
    signature = sign("greeting", challenge[1], nonce, index, peer, host)
    connection.sendall(f"tfpar worker {index} on host {host} {nonce} {signature}\n".encode())
    accepted = ACCEPTED.fullmatch(_read_line(connection, deadline))
    return accepted is not None and is_signed(accepted[1], "accepted", nonce, challenge[1], index, peer)


def _exchange_as_listener(connection, index) -> tuple[int, str] | None:
    """Return the index and the host of the peer; None if it does not know the secret."""
    deadline = time.monotonic() + EXCHANGE_S
    challenge = make_nonce()
    connection.settimeout(EXCHANGE_S)
    connection.sendall(f"tfpar challenge {challenge}\n".encode())
    greeting = GREETING.fullmatch(_read_line(connection, deadline))
    if greeting is None:
        return None
    peer, host, nonce, signature = int(greeting[1]), greeting[2], greeting[3], greeting[4]
    if not is_signed(signature, "greeting", challenge, nonce, peer, index, host):
        return None
    connection.sendall(f"tfpar accepted {sign('accepted', nonce, challenge, peer, index)}\n".encode())
    return peer, host


def _read_line(connection, deadline) -> str:
    """Read a line, or what arrives of it before the deadline or the end."""
    line = b""
    while not line.endswith(b"\n") and len(line) < _LONGEST_LINE_BYTES:
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        data = connection.recv(_LONGEST_LINE_BYTES - len(line))
        if not data:
            break
        line += data
    return line.decode("ascii", errors="replace")


class _Listener:
    """Receiver of greetings, with a thread for each connection, so that none delays another."""

    def __init__(self, address, index, workers):
        self._index = index
        self._greetings: queue.Queue[tuple[int, str]] = queue.Queue()
        self._free = threading.Semaphore(_MOST_CONNECTIONS)
        self._socket = _listen(address, index, workers)

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *error):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # ends the thread that accepts
        self._socket.close()

    def receive(self, duration_s: float) -> Iterator[tuple[int, str]]:
        """Yield the index and the host in each greeting that arrives within `duration_s`."""
        deadline = time.monotonic() + duration_s
        while (remaining_s := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                yield self._greetings.get(timeout=remaining_s)

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except ConnectionError:  # the peer has closed it
                continue
            except OSError:  # closed
                return
            if self._free.acquire(blocking=False):
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
            else:
                connection.close()

    def _serve(self, connection):
        try:
            with connection, contextlib.suppress(OSError):
                if greeting := _exchange_as_listener(connection, self._index):
                    self._greetings.put(greeting)
        finally:
            self._free.release()


def _listen(address, index, workers) -> socket.socket:
    """Listen on the loopback interface if `address` is on it, else on all.

    The host in an address of another interface may be a router's name for this one.
    """
    host, port = split_address(address)
    try:
        family, *_, (resolved, *_) = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        own = str(resolved) if ipaddress.ip_address(resolved).is_loopback else ""
        return socket.create_server((own, port), family=family, backlog=workers + 16)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"worker {index} cannot listen at {address}: another process has taken port {port}. End it, or give "
                "the worker another port in TF_CONFIG, on all workers"
            ) from error
        raise UserError(f"worker {index} cannot listen at {address}: {error.strerror or error}") from error
