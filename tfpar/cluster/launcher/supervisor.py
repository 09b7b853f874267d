"""Waits for the workers, and stops them all if one fails."""

import dataclasses
import signal
import time
from collections.abc import Sequence

from tfpar.cluster.launcher.console import Console
from tfpar.cluster.launcher.diagnosis import Failure, first_failure
from tfpar.cluster.launcher.hangs import HangDetector
from tfpar.cluster.launcher.pump import TICK_S, Pump
from tfpar.cluster.launcher.signals import Signals
from tfpar.cluster.launcher.worker import Worker
from tfpar.cluster.rendezvous import unreachable_workers
from tfpar.errors import STOPPED_EXIT_CODE, USER_ERROR_EXIT_CODE

# Wait for further failures after one that may not be the cause.
SETTLE_S = 5.0
# The same after an exit code that all workers end with: a user error, which the others report once they have started,
# or a stop at a common step, after which the chief still writes a checkpoint.
COMMON_SETTLE_S = 20.0
COMMON_EXIT_CODES = (USER_ERROR_EXIT_CODE, STOPPED_EXIT_CODE)
# Longest wait from SIGTERM to SIGKILL after a failure, when the others can save nothing.
FAILURE_GRACE_S = 5.0
# Time limit of a worker whose processes are stopped.
STOPPED_S = 10.0
# Wait for other processes of a worker's group to end, and for output that was written before an end.
LEFTOVER_S = 1.0


@dataclasses.dataclass(frozen=True)
class Limits:
    """Time limits of a launch.

    Attributes:
        start_s: until all workers listen on their ports or train; None for no limit.
        finish_s: from the chief's success to the others'.
        grace_s: from SIGTERM to SIGKILL; at most 5 s if a worker has failed.
        hang_s: without a step and without use of the CPU, on all workers; also of a worker whose processes are stopped,
            at most 10 s.
    """

    start_s: float | None = None
    finish_s: float = 60.0
    grace_s: float = 17.0
    hang_s: float = 60.0


class Supervisor:
    """Waits for the workers of a launch, and stops all if one fails.

    Args:
        workers: all of them, started.
        addresses: "host:port" at which each listens.
        limits: time limits.
        console: for the workers' output.
        signals: received by this process.

    Attributes:
        failures: in the order in which they were observed.
        timeout_message: states which limit was exceeded; None if none was.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        addresses: Sequence[str],
        limits: Limits,
        console: Console,
        signals: Signals,
    ):
        self.failures: list[Failure] = []
        self.timeout_message: str | None = None
        self._workers = workers
        self._addresses = addresses
        self._limits = limits
        self._console = console
        self._signals = signals
        self._pump = Pump(workers, console)
        self._hangs = HangDetector(workers, min(STOPPED_S, limits.hang_s), limits.hang_s)
        self._started_at = time.monotonic()
        self._failed_at: float | None = None
        self._chief_ended_at: float | None = None
        self._not_listening = set() if limits.start_s is None or len(workers) == 1 else {w.index for w in workers}

    def run(self) -> None:
        """Wait until no process of any worker runs."""
        while not self._is_over():
            self._pump.tick()
            self._record_ends()
            if not self.failures:
                self.timeout_message = self._check_finish() or self._check_start() or self._hangs.check()
        self._record_ends()  # of workers that ended since, before any is stopped
        self._stop()
        self._pump.close()
        for worker in self._workers:
            worker.close()

    @property
    def has_failed(self) -> bool:
        """Whether a worker failed or exceeded a limit."""
        return bool(self.failures or self.timeout_message)

    @property
    def can_restart(self) -> bool:
        """Whether it has failed for a reason that may not recur: no user error, no signal to the launcher."""
        is_stopped = bool(self._signals.received) or self._console.is_broken
        is_user_error = self.failures and first_failure(self.failures).returncode == USER_ERROR_EXIT_CODE
        return self.has_failed and not is_stopped and not is_user_error

    @property
    def cause(self) -> str:
        """Why it has failed, as one clause."""
        return self.timeout_message or str(first_failure(self.failures))

    def _running(self):
        return [worker for worker in self._workers if worker.returncode is None]

    def _is_over(self):
        if self.timeout_message or self._signals.received or self._console.is_broken:
            return True
        if not self.failures or not self._running():
            return not self._running()
        assert self._failed_at is not None  # it is set with the first failure
        cause = first_failure(self.failures)
        is_common = cause.returncode in COMMON_EXIT_CODES
        is_certain = not cause.is_symptom and not is_common
        return is_certain or time.monotonic() - self._failed_at > (COMMON_SETTLE_S if is_common else SETTLE_S)

    def _record_ends(self):
        known = {failure.index for failure in self.failures}
        pairs = [(worker, worker.returncode) for worker in self._workers]
        ended = [(worker, code) for worker, code in pairs if code and worker.index not in known]
        for worker, code in sorted(ended, key=lambda pair: pair[1] > 0):  # killed ones end without delay
            self._pump.drain(worker)
            self.failures.append(Failure(worker.index, code, list(worker.tail)))
            self._failed_at = self._failed_at or time.monotonic()
        if self._workers[0].returncode == 0:
            self._chief_ended_at = self._chief_ended_at or time.monotonic()
        for worker in self._workers:
            worker.poll()

    def _check_finish(self):
        if self._chief_ended_at is None or time.monotonic() - self._chief_ended_at <= self._limits.finish_s:
            return None
        late = [worker.index for worker in self._running()]
        if not late:
            return None
        return f"{_names(late)} did not finish within {self._limits.finish_s:g} s of the chief, worker 0"

    def _check_start(self):
        limit_s = self._limits.start_s
        if limit_s is None or not self._not_listening:
            return None
        silent = unreachable_workers(self._addresses, -1, timeout_s=TICK_S)
        running = {worker.index for worker in self._running() if not worker.heartbeat.has_begun}
        self._not_listening &= set(silent) & running
        if not self._not_listening or time.monotonic() - self._started_at <= limit_s:
            return None
        names = _names(sorted(self._not_listening))
        return f"{names} did not listen on the port in TF_CONFIG within {limit_s:g} s"

    def _stop(self):
        """End all processes: SIGTERM to all if some still run, and SIGKILL to those that remain."""
        if self._running():
            for worker in self._workers:
                worker.signal(signal.SIGTERM)
        received = len(self._signals.received)  # a further signal ends the wait
        grace_s = self._limits.grace_s if received else min(self._limits.grace_s, FAILURE_GRACE_S)
        self._pump.tick_while(
            lambda: self._running() and len(self._signals.received) == received,
            grace_s,
        )
        self._pump.tick_while(
            lambda: any(worker.is_alive for worker in self._workers) and len(self._signals.received) == received,
            LEFTOVER_S,
        )
        for worker in self._workers:
            if worker.is_alive:
                worker.signal(signal.SIGKILL)
        for worker in self._running():
            worker.wait()
        self._pump.tick_while(lambda: not self._pump.is_closed, LEFTOVER_S)


def _names(indices):
    return ", ".join(f"worker {index}" for index in indices)
