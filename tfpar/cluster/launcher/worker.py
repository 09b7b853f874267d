"""Runs a worker's process and reads its output."""

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

from tfpar.cluster.heartbeat import HEARTBEAT, HeartbeatReader, describe_pipe
from tfpar.cluster.launcher.console import Console
from tfpar.cluster.launcher.cores import CoreAllocation
from tfpar.cluster.launcher.streams import CHUNK_BYTES, Lines, LiveLines, Stream

EXEC_WORKER = Path(__file__).with_name("exec_worker.py")
TAIL_LINES = 200
USER_ERROR_LINE = b"error: "
HOLD_S = 10.0  # longer than a busy machine needs to end a worker after its error
# Notes and warnings of TensorFlow's C++ files, written before it reads TF_CPP_MIN_LOG_LEVEL.
EARLY_LOG = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\) "
    rb"|[IW]\d{4} \d\d:\d\d:\d+\.\d+ +\d+ \S+\.(?:cc|h|cu):\d+\] "
)


class Worker:
    """Process of a worker, in a session and thus a process group of its own.

    Args:
        index: of the worker; 0 is the chief.
        command: path of the program, and its arguments.
        environment: the complete environment.
        allocation: its cores.
        registration: descriptor of the guard.
        console: for its output.
        terminal: descriptor of a terminal: its standard error is a pseudo-terminal of that size; None for a pipe.
        hides_early_log: drop lines that match `EARLY_LOG`.

    Attributes:
        heartbeat: reader of its heartbeat.
        pid: number of its process and of its process group.
    """

    def __init__(
        self,
        index: int,
        command: Sequence[str],
        environment: Mapping[str, str],
        allocation: CoreAllocation,
        registration: int,
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
        self.heartbeat = HeartbeatReader()
        beats, worker_beats = os.pipe()
        os.set_blocking(worker_beats, False)
        stdout, worker_stdout = os.pipe()
        stderr, worker_stderr = os.pipe() if terminal is None else _open_pseudo_terminal(terminal, len(self._prefix))
        cores = ",".join(map(str, allocation.cores or ()))
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", EXEC_WORKER, str(registration), cores, *command],
                stdin=subprocess.DEVNULL,
                stdout=worker_stdout,
                stderr=worker_stderr,
                env={**environment, HEARTBEAT: describe_pipe(worker_beats)},
                start_new_session=True,
                pass_fds=[registration, worker_beats],
            )
        finally:
            for fd in (worker_stdout, worker_stderr, worker_beats):
                os.close(fd)
        self.pid = self._process.pid
        lines = Lines(self._add_stdout_line, limit_bytes=None if self.is_chief else CHUNK_BYTES)
        live = Lines(self._add_stderr_line) if terminal is None else LiveLines(self._add_stderr_line, self._draw)
        self.streams = [Stream(stdout, lines), Stream(stderr, live)]
        self._beats: Stream | None = Stream(beats, self.heartbeat)  # read by `poll`: each step would wake the launcher

    @property
    def returncode(self) -> int | None:
        """The return code as in `subprocess`; None while it runs."""
        return self._process.poll()

    def wait(self) -> None:
        """Wait until it has ended."""
        self._process.wait()

    @property
    def is_alive(self) -> bool:
        """Whether it, or another process of its group, still runs."""
        if self.returncode is None:
            return True
        if not self._group_ended:
            self._group_ended = not self.signal(0)
        return not self._group_ended

    def signal(self, number: int) -> bool:
        """Send a signal to its group, and return whether the group exists.

        A group that has ended gets no more signals, since its number may be reused for other processes.
        """
        if self._group_ended:
            return False
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):  # the latter for zombies on macOS
            return False
        return True

    def show_held_errors(self) -> None:
        """Show its lines of user errors, which are held back since all workers may report the same."""
        for line in self.held_errors:
            self._console.line(self._prefix + line)
        self.held_errors.clear()

    def poll(self) -> None:
        """Record that its group has ended, while the number is still the group's; show errors that it has survived.

        It reads the heartbeat, too. Call this often.
        """
        if self._beats is not None and self._beats.read() is None:
            self.close()
        if self.is_alive and self.held_errors and time.monotonic() - self._held_at > HOLD_S:
            self.show_held_errors()

    def close(self) -> None:
        """Read no further heartbeat."""
        if self._beats is not None:
            self._beats.close()
            self._beats = None

    def show_last_line(self) -> None:
        """Show the last line of standard output among all others."""
        if self.last_line is not None:
            self._console.line(self._prefix + self.last_line)
        self.last_line = None

    def _add_stderr_line(self, line, shown=False):
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

    def _add_stdout_line(self, line):
        if self.is_chief and line.strip():
            self.show_last_line()
            self.last_line = line
        else:
            self._show(line)

    def _show(self, line):
        self._console.line(self._prefix + line)

    def _draw(self, row):
        self._console.draw_row(self._prefix + row)


def _open_pseudo_terminal(terminal: int, prefix_width: int) -> tuple[int, int]:
    """Open a raw pseudo-terminal that is as wide as `terminal` less the prefix; return both ends."""
    launcher_end, worker_end = os.openpty()
    tty.setraw(worker_end)
    with contextlib.suppress(OSError, termios.error):
        rows, columns = termios.tcgetwinsize(terminal)
        termios.tcsetwinsize(worker_end, (rows, max(columns - prefix_width, 20)))
    return launcher_end, worker_end
