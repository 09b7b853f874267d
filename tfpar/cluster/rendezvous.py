"""Workers find each other before TensorFlow starts.

A worker whose peers never come hangs inside TensorFlow with the interpreter's lock held, where no timer of Python can
end the wait. So workers meet here first, over plain sockets on the ports that TensorFlow's servers will use.

A worker greets every other, and stays until every other has greeted it. So nobody's port is closed, to be opened by
TensorFlow's server a moment later, while somebody still calls there. And one that is restarted alone, which TensorFlow
would leave hanging, learns it here: the servers of the others accept its call, but greet nobody.
"""

import contextlib
import errno
import re
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tfpar.cluster.local_sockets import host_identity
from tfpar.cluster.tf_config import split_address
from tfpar.errors import UserError, WorkerMissingError

RETRY_S = 0.1
# One call: longer than the second after which a lost packet is sent again.
CALL_S = 1.5
GREETING = re.compile(rb"tfpar worker ([0-9]{1,6}) on host ([0-9a-f]{16})\n")


def wait_for_workers(addresses: Sequence[str], index: int, timeout_s: float) -> bool:
    """Returns once all workers have met. To be called by each before it starts TensorFlow's server.

    Args:
        addresses: "host:port" of all workers.
        index: which of them this process is.
        timeout_s: how long to wait for the others.

    Returns:
        Whether they are all on one host, so that `tfpar.cluster.local_sockets` can connect them.

    Raises:
        UserError: this worker's own port is taken, or an address is malformed.
        WorkerMissingError: some did not come in time.
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
            left_s = deadline - time.monotonic()
            ungreeted = set(_uncalled(addresses, ungreeted, min(CALL_S, max(left_s, RETRY_S)), greeting))
            for peer, host in _greeters(listener, RETRY_S):
                hosts.add(host)
                if peer in peers - unheard:  # it greets again, so it was started again: it has not heard us
                    ungreeted.add(peer)
                unheard.discard(peer)
            if (ungreeted or unheard) and time.monotonic() >= deadline:
                raise WorkerMissingError({peer: addresses[peer] for peer in sorted(ungreeted | unheard)}, timeout_s)
    return len(hosts) == 1


def unreachable_workers(addresses: Sequence[str], index: int, timeout_s: float = 1.0) -> list[int]:
    """Which of the other workers do not accept a connection now: those that have died, or whose host is gone.

    A process that is stopped or hangs still accepts connections, by the hand of its kernel, and is not listed.

    Args:
        addresses: "host:port" of all workers.
        index: which of them this process is.
        timeout_s: how long each may take to answer; all are asked at once.

    Returns:
        Indices, in ascending order.
    """
    return _uncalled(addresses, set(range(len(addresses))) - {index}, timeout_s, b"")


def _uncalled(addresses, peers, timeout_s, message):
    """Sends `message` to all peers at once; returns those that did not take it."""
    targets = {peer: split_address(addresses[peer]) for peer in sorted(peers)}
    if not targets:
        return []
    with ThreadPoolExecutor(min(len(targets), 64)) as pool:
        took = pool.map(lambda target: _call(target, timeout_s, message), targets.values())
        return [peer for peer, taken in zip(targets, took, strict=True) if not taken]


def _call(target, timeout_s, message):
    try:
        with socket.create_connection(target, timeout_s) as connection:
            # Where nobody listens, the system may choose the very port that we call as the one we call from, and
            # connect the socket to itself.
            if connection.getsockname() == connection.getpeername():
                return False
            connection.sendall(message)
            return True
    except OSError:
        return False


def _greeters(listener, for_s):
    """Yields the index and the host in each greeting that arrives within `for_s`."""
    deadline = time.monotonic() + for_s
    while (left_s := deadline - time.monotonic()) > 0:
        listener.settimeout(left_s)
        with contextlib.suppress(OSError):  # nobody called, or somebody who hung up
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(CALL_S)
                greeting = GREETING.fullmatch(connection.recv(64))
            if greeting:
                yield int(greeting[1]), greeting[2].decode()


def _listen(address, index, workers):
    """Listens on all interfaces, as TensorFlow's server will: the host in `address` may be a router's name for it."""
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
