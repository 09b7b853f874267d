"""Finds free ports for the workers' servers."""

import contextlib
import socket

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Find `count` different ports of the loopback interface that no process listens on.

    All are bound until the last one is chosen, so that they differ, and are free when this returns.
    """
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server((LOOPBACK, 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]
