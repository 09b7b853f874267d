"""Divides the cores among the workers."""

import dataclasses
import os
from collections.abc import Sequence

from tfpar.errors import UserError


@dataclasses.dataclass(frozen=True)
class Share:
    """Attributes:
    threads: how many cores' worth of work a worker may do at once.
    cores: the ones that it is bound to; None if it may run on any.
    """

    threads: int
    cores: tuple[int, ...] | None

    @property
    def environment(self) -> dict[str, str]:
        """Thread limits for TensorFlow and for the libraries beside it.

        Not one thread more: each operation that another thread takes up costs a switch on the same core, and a worker
        that waits for the others has nothing else to do.
        """
        return {
            "TF_NUM_INTRAOP_THREADS": str(self.threads),
            "TF_NUM_INTEROP_THREADS": str(self.threads),
            "OMP_NUM_THREADS": str(self.threads),
        }


def core_numbers() -> list[int]:
    """The cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def divide_cores(workers: int, cores_per_worker: int | None, usable: Sequence[int], bind: bool) -> list[Share]:
    """Gives each worker its own cores, or the same number of threads where there are too few cores.

    Args:
        workers: how many there are.
        cores_per_worker: as the user asked for; None to divide all cores evenly.
        usable: numbers of the cores there are.
        bind: whether this system can bind a process to cores.

    Raises:
        UserError: more cores were asked for than there are.
    """
    if cores_per_worker and workers * cores_per_worker > len(usable):
        raise UserError(
            f"{workers} workers with --cores_per_worker {cores_per_worker} need {workers * cores_per_worker} cores, "
            f"but {len(usable)} can be used here; ask for fewer, or leave --cores_per_worker away"
        )
    each = cores_per_worker or max(1, len(usable) // workers)
    if not bind or workers * each > len(usable):
        return [Share(each, None)] * workers
    return [Share(each, tuple(usable[index * each : (index + 1) * each])) for index in range(workers)]
