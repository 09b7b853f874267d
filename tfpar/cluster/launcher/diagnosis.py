"""Finds the cause among several workers' failures.

When a worker fails, its peers lose their connections and fail soon after; at times they even end before it does, while
it still cleans up. So a failure whose message is of a lost peer is a symptom if another failure is not.
"""

import dataclasses
import re
import signal
from collections.abc import Sequence

from tfpar.errors import STOPPED_EXIT_CODE

SYMPTOM = re.compile(
    rb"UnavailableError|DeadlineExceededError|AbortedError|CancelledError|WorkerMissingError|WorkerLostError"
    rb"|\b(?:UNAVAILABLE|DEADLINE_EXCEEDED|ABORTED|CANCELLED)\b"
    rb"|Connection reset by peer|Connection refused|Broken pipe|Socket closed|no longer answers|did not come within"
    rb"|took too long, has given up"
)
TRACEBACK = b"Traceback (most recent call last):"
LOG_LINE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] |[IWE]\d{4} \d\d:\d\d:\d+\.\d+ ")


@dataclasses.dataclass(frozen=True)
class Failure:
    """Failure of a worker.

    Attributes:
        index: of the worker.
        returncode: as in `subprocess`: negative for a signal.
        lines: the last lines of its standard error.
    """

    index: int
    returncode: int
    lines: Sequence[bytes]

    @property
    def exit_code(self) -> int:
        """The exit code as in a shell: 128 plus the signal's number for a killed worker."""
        return self.returncode if self.returncode >= 0 else 128 - self.returncode

    @property
    def is_symptom(self) -> bool:
        """Whether it failed because a peer was lost. A killed worker did not, unless by its own abort()."""
        if self.returncode < 0 and self.returncode != -signal.SIGABRT:
            return False
        return any(SYMPTOM.search(line) for line in find_last_error(self.lines))

    def __str__(self):
        if self.returncode == STOPPED_EXIT_CODE:
            return f"worker {self.index} was stopped by a signal, with exit code {self.returncode}"
        if self.returncode >= 0:
            return f"worker {self.index} failed first, with exit code {self.returncode}"
        try:
            name = signal.Signals(-self.returncode).name
        except ValueError:
            name = "a signal"
        return f"worker {self.index} was killed by {name} (signal {-self.returncode})"


def find_last_error(lines: Sequence[bytes]) -> Sequence[bytes]:
    """Return the lines that state why a process ended.

    These are the exception, which begins after the indented frames of the last traceback, or the lines from the last
    "error: " on, or else the last twenty lines. Logs of TensorFlow's threads, which report lost connections whenever a
    process ends, are removed unless they are fatal.
    """
    lines = [line for line in lines if not LOG_LINE.match(line)]
    starts = [number for number, line in enumerate(lines) if line.startswith((TRACEBACK, b"error: "))]
    if not starts:
        return lines[-20:]
    if not lines[starts[-1]].startswith(TRACEBACK):
        return lines[starts[-1] :]
    after = lines[starts[-1] + 1 :]
    frames = next((number for number, line in enumerate(after) if line[:1] not in (b" ", b"")), len(after))
    return after[frames:]


def first_failure(failures: Sequence[Failure]) -> Failure:
    """Return the earliest failure that is not a symptom, or the earliest.

    Args:
        failures: in the order in which they were observed.
    """
    return min(failures, key=lambda failure: failure.is_symptom)
