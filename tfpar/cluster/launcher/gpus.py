"""Divides the GPUs among the workers: a process sees those in CUDA_VISIBLE_DEVICES."""

import re
from collections.abc import Mapping
from pathlib import Path

from tfpar.errors import UserError


def divide_gpus(workers: int, gpus_per_worker: int | None, environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Gives each worker its own GPUs.

    Args:
        workers: how many there are.
        gpus_per_worker: as the user asked for; None: each worker sees what the launcher sees.
        environment: the launcher's; CUDA_VISIBLE_DEVICES in it names those that may be given away.

    Returns:
        What each worker's environment gets.

    Raises:
        UserError: more were asked for than there are.
    """
    if gpus_per_worker is None:
        return [{}] * workers
    named = environment.get("CUDA_VISIBLE_DEVICES")
    usable = _devices() if named is None else [name.strip() for name in named.split(",") if name.strip()]
    if workers * gpus_per_worker > len(usable):
        raise UserError(
            f"{workers} workers with --gpus_per_worker {gpus_per_worker} need {workers * gpus_per_worker} GPUs, but "
            f"{len(usable)} can be used here; ask for fewer, or leave --gpus_per_worker away"
        )
    shares = (usable[index * gpus_per_worker : (index + 1) * gpus_per_worker] for index in range(workers))
    return [{"CUDA_VISIBLE_DEVICES": ",".join(share)} for share in shares]


def _devices() -> list[str]:
    """Numbers of NVIDIA's device files."""
    return [str(i) for i in range(sum(bool(re.fullmatch(r"nvidia\d+", p.name)) for p in Path("/dev").glob("nvidia*")))]
