"""Free ports for the workers' servers."""

import contextlib
import socket

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Returns `count` different ports of the loopback interface that nobody listens on.

    They are held together while they are chosen, so that they differ, and are free when this returns.
    """
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server((LOOPBACK, 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]
