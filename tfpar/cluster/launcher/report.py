"""Prints how a launch ended, and chooses its exit code."""

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
    """Outcome of a launch.

    Attributes:
        exit_code: of the launcher.
        result: the chief's last line on standard output, without its newline, if all workers succeeded; else None.
    """

    exit_code: int
    result: bytes | None = None


def report(workers: Sequence[Worker], supervisor: Supervisor, console: Console, signals: Signals) -> Outcome:
    """Print on the console how a launch ended, and return its outcome."""
    failures = supervisor.failures
    if len(failures) == len(workers) and all(failure.returncode == USER_ERROR_EXIT_CODE for failure in failures):
        outcome = _report_user_errors(workers, console)
    else:
        is_success = not (failures or supervisor.timeout_message or signals.received or console.is_broken)
        for worker in workers:
            worker.show_held_errors()
            if not is_success:
                worker.show_last_line()
        if is_success:
            outcome = Outcome(0, workers[0].last_line)
        elif signals.received:
            console.line(b"error: stopped by %s" % signal.Signals(signals.received[0]).name.encode())
            outcome = Outcome(128 + signals.received[0])
        elif console.is_broken:
            outcome = Outcome(128 + signal.SIGPIPE)
        elif supervisor.timeout_message:
            console.line(b"error: " + supervisor.timeout_message.encode())
            outcome = Outcome(1)
        else:
            outcome = _report_failure(first_failure(failures), console)
    console.flush()
    return outcome


def _report_user_errors(workers, console) -> Outcome:
    """Print each user error once: all workers report the same, or each its own."""
    found = dict.fromkeys(line for worker in workers for line in worker.held_errors)
    for worker in workers:
        worker.show_last_line()
    for line in found or [b"error: all workers ended with exit code 2"]:
        console.line(line)
    return Outcome(USER_ERROR_EXIT_CODE)


def _report_failure(cause: Failure, console) -> Outcome:
    console.line(f"error: {cause}{':' if cause.lines else ''}".encode())
    for line in cause.lines[-SHOWN_LINES:]:
        console.line(b"[worker %d] " % cause.index + line)
    return Outcome(cause.exit_code)
