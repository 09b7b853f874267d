"""Which of several failures was the cause, and which came of it.

When a worker fails, its peers lose their connections and fail soon after; at times they even end before it does, while
it still cleans up. So a failure that speaks of a lost peer is a symptom, if there is another that does not.
"""

import dataclasses
import re
import signal
from collections.abc import Sequence

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
    """Attributes:
    index: of the worker.
    returncode: as of `subprocess`: negative for a signal.
    lines: the end of its standard error.
    """

    index: int
    returncode: int
    lines: Sequence[bytes]

    @property
    def exit_code(self) -> int:
        """As a shell gives it: 128 and the signal's number for one that was killed."""
        return self.returncode if self.returncode >= 0 else 128 - self.returncode

    @property
    def is_symptom(self) -> bool:
        """Did it end for the loss of a peer? A killed worker did not, save by its own abort()."""
        if self.returncode < 0 and self.returncode != -signal.SIGABRT:
            return False
        return any(SYMPTOM.search(line) for line in last_words(self.lines))

    def __str__(self):
        if self.returncode >= 0:
            return f"worker {self.index} failed first, with exit code {self.returncode}"
        try:
            name = signal.Signals(-self.returncode).name
        except ValueError:
            name = "a signal"
        return f"worker {self.index} was killed by {name} (signal {-self.returncode})"


def last_words(lines: Sequence[bytes]) -> Sequence[bytes]:
    """The lines that say why a process ended.

    These are the exception, which begins where the indented frames of the last traceback end, or what follows the last
    "error: ", or else the last twenty lines. Logs of TensorFlow's threads, which complain of lost connections while any
    process ends, are left out, save for the fatal ones.
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
    """The earliest that is not a symptom, or the earliest.

    Args:
        failures: in the order in which they were seen.
    """
    return min(failures, key=lambda failure: failure.is_symptom)
