"""Divides the CPU's cores among the workers."""

import dataclasses
import os
from collections.abc import Sequence

from tfpar.errors import UserError


@dataclasses.dataclass(frozen=True)
class CoreAllocation:
    """Cores of a worker.

    Attributes:
        threads: number of threads that run at once.
        cores: numbers of the cores that it is bound to; None if it may run on any.
    """

    threads: int
    cores: tuple[int, ...] | None

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that limit the threads of TensorFlow and OpenMP.

        A further thread would cost a context switch for each operation that it runs on the same core.
        """
        return {
            "TF_NUM_INTRAOP_THREADS": str(self.threads),
            "TF_NUM_INTEROP_THREADS": str(self.threads),
            "OMP_NUM_THREADS": str(self.threads),
        }


def core_numbers() -> list[int]:
    """List the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def divide_cores(workers: int, cores_per_worker: int | None, usable: Sequence[int], bind: bool) -> list[CoreAllocation]:
    """Allocate cores to each worker, or only threads if there are too few cores.

    Args:
        workers: number of workers.
        cores_per_worker: as requested; None to divide all cores evenly.
        usable: numbers of the cores that may be used.
        bind: whether this system can bind a process to cores.

    Raises:
        UserError: more cores were requested than there are.
    """
    if cores_per_worker and workers * cores_per_worker > len(usable):
        raise UserError(
            f"{workers} workers with --cores_per_worker {cores_per_worker} need {workers * cores_per_worker} cores, "
            f"but {len(usable)} can be used here; ask for fewer, or omit --cores_per_worker"
        )
    each = cores_per_worker or max(1, len(usable) // workers)
    if not bind or workers * each > len(usable):
        return [CoreAllocation(each, None)] * workers
    return [CoreAllocation(each, tuple(usable[index * each : (index + 1) * each])) for index in range(workers)]
