"""Divides the GPUs among the workers by CUDA_VISIBLE_DEVICES."""

import re
from collections.abc import Mapping
from pathlib import Path

from tfpar.errors import UserError


def divide_gpus(workers: int, gpus_per_worker: int | None, environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Allocate GPUs to each worker.

    Args:
        workers: number of workers.
        gpus_per_worker: as requested; None: each worker sees all that the launcher sees.
        environment: the launcher's; its CUDA_VISIBLE_DEVICES names the GPUs to divide.

    Returns:
        Environment variables of each worker.

    Raises:
        UserError: more were requested than there are.
    """
    if gpus_per_worker is None:
        return [{}] * workers
    named = environment.get("CUDA_VISIBLE_DEVICES")
    usable = _list_devices() if named is None else [name.strip() for name in named.split(",") if name.strip()]
    if workers * gpus_per_worker > len(usable):
        raise UserError(
            f"{workers} workers with --gpus_per_worker {gpus_per_worker} need {workers * gpus_per_worker} GPUs, but "
            f"{len(usable)} can be used here; ask for fewer, or omit --gpus_per_worker"
        )
    groups = (usable[index * gpus_per_worker : (index + 1) * gpus_per_worker] for index in range(workers))
    return [{"CUDA_VISIBLE_DEVICES": ",".join(group)} for group in groups]


def _list_devices() -> list[str]:
    """List the numbers of NVIDIA's device files."""
    return [str(i) for i in range(sum(bool(re.fullmatch(r"nvidia\d+", p.name)) for p in Path("/dev").glob("nvidia*")))]
