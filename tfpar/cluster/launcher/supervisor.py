"""Waits for the workers, and stops them all if one fails."""

import dataclasses
import signal
import time
from collections.abc import Sequence

from tfpar.cluster.launcher.console import Console
from tfpar.cluster.launcher.diagnosis import Failure, first_failure
from tfpar.cluster.launcher.pump import TICK_S, Pump
from tfpar.cluster.launcher.signals import Signals
from tfpar.cluster.launcher.worker import Worker
from tfpar.cluster.rendezvous import unreachable_workers
from tfpar.errors import USER_ERROR_EXIT_CODE

# How long a failure that may not be the cause is given to be joined by others.
SETTLE_S = 5.0
# How long what a worker leaves behind is given to end, and output to arrive that was written before an end.
LEFTOVER_S = 1.0


@dataclasses.dataclass(frozen=True)
class Limits:
    """Attributes:
    start_s: until all workers listen on their ports; None for no limit.
    finish_s: from the chief's success to the others'.
    grace_s: from SIGTERM to SIGKILL.
    """

    start_s: float | None = None
    finish_s: float = 60.0
    grace_s: float = 5.0


class Supervisor:
    """Sees a launch through.

    Args:
        workers: all of them, started.
        addresses: where each is to listen.
        limits: how long to wait for what.
        console: where the workers' output goes.
        signals: those that this process gets.

    Attributes:
        failures: in the order in which they were seen.
        complaint: what took too long; None if nothing did.
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
        self.complaint: str | None = None
        self._workers = workers
        self._addresses = addresses
        self._limits = limits
        self._console = console
        self._signals = signals
        self._pump = Pump(workers, console)
        self._started_at = time.monotonic()
        self._failed_at = self._chief_ended_at = None
        self._to_start = set() if limits.start_s is None or len(workers) == 1 else {w.index for w in workers}

    def run(self) -> None:
        """Returns when no worker runs any more, nor anything that one has left behind."""
        while not self._is_over():
            self._pump.tick()
            self._note_ends()
            self.complaint = None if self.failures else self._late_finish() or self._late_start()
        self._stop()
        self._pump.close()

    def _running(self):
        return [worker for worker in self._workers if worker.returncode is None]

    def _is_over(self):
        if self.complaint or self._signals.received or self._console.is_broken:
            return True
        if not self.failures or not self._running():
            return not self._running()
        guilty = first_failure(self.failures)
        # Others may find the user's error too.
        is_certain = not guilty.is_symptom and guilty.returncode != USER_ERROR_EXIT_CODE
        return is_certain or time.monotonic() - self._failed_at > SETTLE_S

    def _note_ends(self):
        known = {failure.index for failure in self.failures}
        ended = [worker for worker in self._workers if worker.returncode and worker.index not in known]
        for worker in sorted(ended, key=lambda worker: worker.returncode > 0):  # killed ones end without delay
            self._pump.drain(worker)
            self.failures.append(Failure(worker.index, worker.returncode, list(worker.tail)))
            self._failed_at = self._failed_at or time.monotonic()
        if self._workers[0].returncode == 0:
            self._chief_ended_at = self._chief_ended_at or time.monotonic()
        for worker in self._workers:
            worker.look()

    def _late_finish(self):
        if self._chief_ended_at is None or time.monotonic() - self._chief_ended_at <= self._limits.finish_s:
            return None
        late = [worker.index for worker in self._running()]
        if not late:
            return None
        return f"{_names(late)} did not finish within {self._limits.finish_s:g} s of the chief, worker 0"

    def _late_start(self):
        if not self._to_start:
            return None
        silent = unreachable_workers(self._addresses, -1, timeout_s=TICK_S)
        self._to_start &= set(silent) & {worker.index for worker in self._running()}
        if not self._to_start or time.monotonic() - self._started_at <= self._limits.start_s:
            return None
        names = _names(sorted(self._to_start))
        return f"{names} did not listen on the port in TF_CONFIG within {self._limits.start_s:g} s"

    def _stop(self):
        """Ends all processes: SIGTERM to all if some still run, and in the end SIGKILL to whatever is left."""
        if self._running():
            for worker in self._workers:
                worker.signal(signal.SIGTERM)
        asked = len(self._signals.received)  # whoever asks once more to stop is tired of waiting
        self._pump.tick_while(
            lambda: self._running() and len(self._signals.received) == asked,
            self._limits.grace_s,
        )
        self._pump.tick_while(
            lambda: any(worker.lives for worker in self._workers) and len(self._signals.received) == asked,
            LEFTOVER_S,
        )
        for worker in self._workers:
            if worker.lives:
                worker.signal(signal.SIGKILL)
        for worker in self._running():
            worker.wait()
        self._pump.tick_while(lambda: not self._pump.is_dry, LEFTOVER_S)


def _names(indices):
    return ", ".join(f"worker {index}" for index in indices)
