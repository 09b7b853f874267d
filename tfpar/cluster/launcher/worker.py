"""A worker's process and its output."""

import collections
import contextlib
import os
import re
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfpar.cluster.launcher.console import Console
from tfpar.cluster.launcher.cores import Share
from tfpar.cluster.launcher.streams import CHUNK_BYTES, Lines, LiveLines, Stream

EXEC_WORKER = Path(__file__).with_name("exec_worker.py")
TAIL_LINES = 200
USER_ERROR_LINE = b"error: "
HOLD_S = 3.0
# Notes and warnings of TensorFlow's C++ files, from before it heeds TF_CPP_MIN_LOG_LEVEL.
EARLY_LOG = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\) "
    rb"|[IW]\d{4} \d\d:\d\d:\d+\.\d+ +\d+ \S+\.(?:cc|h|cu):\d+\] "
)


class Worker:
    """One process in a session, and thus a process group, of its own.

    Args:
        index: its place among the workers; 0 is the chief.
        command: what to run: a path and arguments.
        environment: all of its environment.
        share: its cores.
        entry: descriptor of the guard.
        console: where its output goes.
        terminal: descriptor of a terminal whose size its own standard error, a pseudo-terminal, is to have; None for a
            pipe.
        hides_early_log: leave `EARLY_LOG` out.
    """

    def __init__(
        self,
        index: int,
        command: Sequence[str],
        environment: Mapping[str, str],
        share: Share,
        entry: int,
        console: Console,
        terminal: int | None = None,
        hides_early_log: bool = False,
    ):
        self.index = index
        self.is_chief = index == 0
        self.tail: collections.deque[bytes] = collections.deque(maxlen=TAIL_LINES)
        self.last_line: bytes | None = None
        self.held_errors: list[bytes] = []
        self._held_at = 0.0
        self._hides_early_log = hides_early_log
        self._console = console
        self._prefix = b"[worker %d] " % index
        self._group_ended = False
        stdout, its_stdout = os.pipe()
        stderr, its_stderr = os.pipe() if terminal is None else _pseudo_terminal(terminal, len(self._prefix))
        cores = ",".join(map(str, share.cores or ()))
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", EXEC_WORKER, str(entry), cores, *command],
                stdin=subprocess.DEVNULL,
                stdout=its_stdout,
                stderr=its_stderr,
                env=environment,
                start_new_session=True,
                pass_fds=[entry],
            )
        finally:
            os.close(its_stdout)
            os.close(its_stderr)
        lines = Lines(self._take_stdout, limit_bytes=None if self.is_chief else CHUNK_BYTES)
        live = Lines(self._take_stderr) if terminal is None else LiveLines(self._take_stderr, self._draw)
        self.streams = [Stream(stdout, lines), Stream(stderr, live)]

    @property
    def returncode(self) -> int | None:
        """As of `subprocess`; None while it runs."""
        return self._process.poll()

    def wait(self) -> None:
        """Returns when it has ended."""
        self._process.wait()

    @property
    def lives(self) -> bool:
        """Does it, or a process that it has left behind in its group, still run?"""
        if self.returncode is None:
            return True
        if not self._group_ended:
            self._group_ended = not self.signal(0)
        return not self._group_ended

    def signal(self, number: int) -> bool:
        """Sends a signal to its group; False if nobody is there.

        A group that has ended is not asked again, since its number may be given to strangers.
        """
        if self._group_ended:
            return False
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):  # the latter for zombies on macOS
            return False
        return True

    def show_held_errors(self) -> None:
        """Shows the user's mistakes that it found; they are held back since all workers may find the same."""
        for line in self.held_errors:
            self._console.line(self._prefix + line)
        self.held_errors.clear()

    def look(self) -> None:
        """Notes that its group has ended, while the group's number is still its own; shows errors that it outlived.

        To be called often.
        """
        lives = self.lives
        if lives and self.held_errors and time.monotonic() - self._held_at > HOLD_S:
            self.show_held_errors()

    def show_last_line(self) -> None:
        """Shows the last line of standard output among all others."""
        if self.last_line is not None:
            self._console.line(self._prefix + self.last_line)
        self.last_line = None

    def _take_stderr(self, line, shown=False):
        if self._hides_early_log and not shown and EARLY_LOG.match(line):
            return
        self.tail.append(line.removesuffix(b"\r").rpartition(b"\r")[2])
        if shown:
            self._console.end_row()
        elif line.startswith(USER_ERROR_LINE):
            self.held_errors.append(line)
            self._held_at = time.monotonic()
        else:
            self._show(line)

    def _take_stdout(self, line):
        if self.is_chief and line.strip():
            self.show_last_line()
            self.last_line = line
        else:
            self._show(line)

    def _show(self, line):
        self._console.line(self._prefix + line)

    def _draw(self, row):
        self._console.draw_row(self._prefix + row)


def _pseudo_terminal(terminal, prefix_width):
    """Both ends of one that is as wide as `terminal` less the prefix, and changes no bytes."""
    mine, theirs = os.openpty()
    tty.setraw(theirs)
    with contextlib.suppress(OSError, termios.error):
        rows, columns = termios.tcgetwinsize(terminal)
        termios.tcsetwinsize(theirs, (rows, max(columns - prefix_width, 20)))
    return mine, theirs
