"""What the launcher says in the end, and its exit code."""

import dataclasses
import signal
from collections.abc import Sequence

from tfpar.cluster.launcher.console import Console
from tfpar.cluster.launcher.diagnosis import Failure, first_failure
from tfpar.cluster.launcher.signals import Signals
from tfpar.cluster.launcher.supervisor import Supervisor
from tfpar.cluster.launcher.worker import Worker
from tfpar.errors import USER_ERROR_EXIT_CODE

SHOWN_LINES = 20


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Attributes:
    exit_code: the launcher's.
    result: the chief's last line on standard output if all went well, without its newline; None if there is none.
    """

    exit_code: int
    result: bytes | None = None


def report(workers: Sequence[Worker], supervisor: Supervisor, console: Console, signals: Signals) -> Outcome:
    """Tells how it ended, on the console."""
    failures = supervisor.failures
    if len(failures) == len(workers) and all(failure.returncode == USER_ERROR_EXIT_CODE for failure in failures):
        outcome = _users_error(workers, console)
    else:
        went_well = not (failures or supervisor.complaint or signals.received or console.is_broken)
        for worker in workers:
            worker.show_held_errors()
            if not went_well:
                worker.show_last_line()
        if went_well:
            outcome = Outcome(0, workers[0].last_line)
        elif signals.received:
            console.line(b"error: stopped by %s" % signal.Signals(signals.received[0]).name.encode())
            outcome = Outcome(128 + signals.received[0])
        elif console.is_broken:
            outcome = Outcome(128 + signal.SIGPIPE)
        elif supervisor.complaint:
            console.line(b"error: " + supervisor.complaint.encode())
            outcome = Outcome(1)
        else:
            outcome = _failure(first_failure(failures), console)
    console.flush()
    return outcome


def _users_error(workers, console):
    """All workers have found the same mistake, or each its own; each mistake is shown once."""
    found = dict.fromkeys(line for worker in workers for line in worker.held_errors)
    for worker in workers:
        worker.show_last_line()
    for line in found or [b"error: all workers ended with exit code 2"]:
        console.line(line)
    return Outcome(USER_ERROR_EXIT_CODE)


def _failure(guilty: Failure, console):
    console.line(f"error: {guilty}{':' if guilty.lines else ''}".encode())
    for line in guilty.lines[-SHOWN_LINES:]:
        console.line(b"[worker %d] " % guilty.index + line)
    return Outcome(guilty.exit_code)
