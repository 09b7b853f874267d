"""Heartbeat of a worker: begin and end of each training, evaluation and prediction step are reported to the launcher.

The launcher passes a pipe in the environment. Without a launcher nothing is reported. What a missing heartbeat means:
see `tfpar.cluster.launcher.hangs`.
"""

import contextlib
import os
import stat
import time
from collections.abc import Iterator

HEARTBEAT = "TFPAR_HEARTBEAT"
BEGIN, STEP, END = b"b", b".", b"e"

_depth = 0


def describe_pipe(fd: int) -> str:
    """Return the value of the environment variable `HEARTBEAT` for the writing end of a pipe."""
    return f"{fd}:{os.fstat(fd).st_ino}"


@contextlib.contextmanager
def expected() -> Iterator[None]:
    """Within this context a silent worker is a hanging one."""
    global _depth
    _depth += 1
    try:
        if _depth == 1:
            _write(BEGIN)
        yield
    finally:
        _depth -= 1
        if _depth == 0:
            _write(END)


def step() -> None:
    """Report the begin or the end of a step."""
    _write(STEP)


class HeartbeatReader:
    """Reader of a worker's heartbeat, in the launcher.

    Attributes:
        has_begun: whether the worker has reported anything.
        is_active: whether the worker is within `fit`, `evaluate` or `predict`.
        last_s: time of the last report, by `time.monotonic`.
        count: number of steps that have been reported, begun and ended ones.
    """

    def __init__(self):
        self.has_begun = self.is_active = False
        self.last_s = time.monotonic()
        self.count = 0

    def feed(self, data: bytes) -> None:
        """Add reports, as a worker writes them."""
        if not data:
            return
        self.has_begun, self.last_s = True, time.monotonic()
        self.count += data.count(STEP)
        self.is_active = data.rfind(END) <= data.rfind(BEGIN) if {*data} & {*BEGIN, *END} else self.is_active

    def end(self) -> None:
        """End the input."""
        self.is_active = False


def _write(message: bytes) -> None:
    fd, _, inode = os.environ.get(HEARTBEAT, "").partition(":")
    if not inode:
        return
    with contextlib.suppress(OSError):  # the launcher has ended, or its pipe is full
        status = os.fstat(int(fd))
        # A program between the launcher and this one may have closed the pipe; the number may be that of another file.
        if stat.S_ISFIFO(status.st_mode) and status.st_ino == int(inode):
            os.write(int(fd), message)
