"""Finds hanging workers, by their heartbeat and by what Linux reports about their processes.

A worker hangs if

- all its processes are stopped (SIGSTOP) for `stopped_s`; or
- it is within `fit`, `evaluate` or `predict`, and for `silent_s` no worker has reported a step or used its CPU. Workers
  of a cluster wait for each other, so one that hangs silences all. Compilation, a long evaluation and a slow
  peer use the CPU, and are no hang.

Systems without /proc report neither; there the workers' own time limit of a collective ends the wait for a peer.
"""

import dataclasses
import os
import time
from collections.abc import Mapping, Sequence

from tfpar.cluster.launcher.worker import Worker

CHECK_S = 1.0
# Idle workers use less of a core, all together; one that computes uses more, also on a very busy machine.
IDLE_CPU_FRACTION = 0.005
STOPPED = "T"  # not "t", a process that is traced


@dataclasses.dataclass(frozen=True)
class ProcessGroup:
    """What the system reports about a group of processes.

    Attributes:
        is_stopped: whether none of them runs, since all are stopped.
        cpu_s: CPU time that they have used.
    """

    is_stopped: bool
    cpu_s: float


class HangDetector:
    """Detector of hanging workers.

    Args:
        workers: all of them.
        stopped_s: time limit of a worker whose processes are stopped.
        silent_s: time limit of workers that report no step and use no CPU.
    """

    def __init__(self, workers: Sequence[Worker], stopped_s: float, silent_s: float):
        self._workers = workers
        self._stopped_s, self._silent_s = stopped_s, silent_s
        self._checked_s = self._busy_s = time.monotonic()
        self._cpu_s = 0.0  # that all had used at `_busy_s`
        self._stopped_since: dict[int, float] = {}

    def check(self) -> str | None:
        """Return which worker hangs, and why; None if none does. Call this often."""
        now = time.monotonic()
        if now - self._checked_s < CHECK_S:
            return None
        self._checked_s = now
        groups = read_process_groups([worker.pid for worker in self._workers if worker.returncode is None])
        return self._find_stopped(groups, now) or self._find_silent(groups, now)

    def _find_stopped(self, groups: Mapping[int, ProcessGroup], now: float):
        for worker in self._workers:
            if worker.pid not in groups or not groups[worker.pid].is_stopped:
                self._stopped_since.pop(worker.index, None)
            elif now - self._stopped_since.setdefault(worker.index, now) >= self._stopped_s:
                return f"worker {worker.index} hangs: its processes have been stopped for {self._stopped_s:g} s"
        return None

    def _find_silent(self, groups: Mapping[int, ProcessGroup], now: float):
        active = [worker for worker in self._workers if worker.heartbeat.is_active and worker.pid in groups]
        cpu_s = sum(group.cpu_s for group in groups.values())
        is_idle = 0.0 <= cpu_s - self._cpu_s <= IDLE_CPU_FRACTION * self._silent_s  # it falls when a process ends
        if not active or not is_idle:
            self._busy_s, self._cpu_s = now, cpu_s
        last_s = max([self._busy_s, *(worker.heartbeat.last_s for worker in active)])
        if now - last_s < self._silent_s:
            return None
        last = min(active, key=lambda worker: worker.heartbeat.count)
        return (
            f"worker {last.index} hangs: it is the last in its steps, and no worker has ended a step or used its CPU "
            f"for {self._silent_s:g} s"
        )


def read_process_groups(groups: Sequence[int]) -> dict[int, ProcessGroup]:
    """Read the state of process groups.

    Args:
        groups: their numbers.

    Returns:
        The groups that have living processes; none on systems without /proc.
    """
    states: dict[int, list[str]] = {}
    ticks = dict.fromkeys(groups, 0)
    for group, state, cpu_ticks in _read_processes():
        if group in ticks and state not in "ZX":
            states.setdefault(group, []).append(state)
            ticks[group] += cpu_ticks
    return {
        group: ProcessGroup(set(found) == {STOPPED}, ticks[group] / os.sysconf("SC_CLK_TCK"))
        for group, found in states.items()
    }


def _read_processes():
    """Yield the process group, state and CPU time in ticks of each process; none without /proc."""
    try:
        names = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return
    for name in names:
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:  # it has ended
            continue
        yield int(fields[2]), fields[0].decode(), int(fields[11]) + int(fields[12])
