"""Prints how a launch ended, and chooses its exit code."""

import dataclasses
import signal
from collections.abc import Sequence

from tfpar.cluster.launcher.console import Console
from tfpar.cluster.launcher.diagnosis import Failure, first_failure
from tfpar.cluster.launcher.signals import Signals
from tfpar.cluster.launcher.supervisor import Supervisor
from tfpar.cluster.launcher.worker import Worker
from tfpar.errors import STOPPED_EXIT_CODE, USER_ERROR_EXIT_CODE

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


def show_held_output(workers: Sequence[Worker]) -> None:
    """Show what was held back: errors that all might have reported, and the last line on standard output."""
    for worker in workers:
        worker.show_held_errors()
        worker.show_last_line()


def report(workers: Sequence[Worker], supervisor: Supervisor, console: Console, signals: Signals) -> Outcome:
    """Print on the console how a launch ended, and return its outcome."""
    failures = supervisor.failures
    if len(failures) == len(workers) and all(failure.returncode == USER_ERROR_EXIT_CODE for failure in failures):
        outcome = _report_user_errors(workers, console)
    elif not (supervisor.has_failed or signals.received or console.is_broken):
        for worker in workers:
            worker.show_held_errors()
        outcome = Outcome(0, workers[0].last_line)
    else:
        show_held_output(workers)
        if signals.received:
            outcome = _report_signal(workers, signals.received[0], console)
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


def _report_signal(workers, number, console) -> Outcome:
    """Report a signal to the launcher: exit code 3 if the workers can be continued, else as in a shell."""
    name, codes = signal.Signals(number).name, {worker.returncode for worker in workers}
    if STOPPED_EXIT_CODE in codes and codes <= {0, STOPPED_EXIT_CODE}:
        console.line(f"error: stopped by {name}; the same command continues from the last checkpoint".encode())
        return Outcome(STOPPED_EXIT_CODE)
    console.line(f"error: stopped by {name}".encode())
    return Outcome(128 + number)


def _report_failure(cause: Failure, console) -> Outcome:
    console.line(f"error: {cause}{':' if cause.lines else ''}".encode())
    for line in cause.lines[-SHOWN_LINES:]:
        console.line(b"[worker %d] " % cause.index + line)
    return Outcome(cause.exit_code)
