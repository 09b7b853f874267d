"""Binds TensorFlow's server to the loopback interface, since it listens on all whatever its address is."""

import contextlib
import ipaddress
import os
import socket
from collections.abc import Sequence

from tfpar.cluster.tf_config import split_address


def are_loopback(addresses: Sequence[str]) -> bool:
    """Return whether all addresses "host:port" are numeric ones of the loopback interface."""
    with contextlib.suppress(ValueError):
        return all(ipaddress.ip_address(split_address(address)[0]).is_loopback for address in addresses)
    return False


def bind_to_loopback(port: int) -> bool:
    """Bind the sockets of this process that listen on a port to the loopback interface.

    Connections that have been accepted before stay open.

    Returns:
        Whether there was such a socket, and the system has bound all of them.
    """
    listeners = [listener for listener in _list_sockets() if _listens_on(listener, port)]
    try:
        for listener in listeners:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
    except (OSError, AttributeError):  # not permitted, or not Linux
        return False
    return bool(listeners)


def _list_sockets() -> list[socket.socket]:
    """List copies of the sockets of this process."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):  # no socket, or closed
                found.append(socket.socket(fileno=os.dup(int(name))))
    return found


def _listens_on(candidate, port) -> bool:
    with contextlib.suppress(OSError):
        is_internet = candidate.family in (socket.AF_INET, socket.AF_INET6)
        is_listening = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        return bool(is_internet and is_listening and candidate.getsockname()[1] == port)
    return False
