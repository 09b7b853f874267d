"""Runs the programs beside it by JAX alone: `python run.py [NAME ...]`; prints one JSON object for each.

No time is printed of a program whose results here differ from those that were computed when it was written. With
PyTorch on a GPU, cuDNN's LSTM and GRU of the same sizes are timed beside it.
"""

import json
import os
import statistics
import sys
import timeit
from pathlib import Path

import numpy as np

RUNS, TOLERANCE = 20, 1e-3  # of results, relative to the largest


def median_seconds(run):
    """Time a function that waits for its result."""
    return statistics.median(timeit.repeat(run, number=1, repeat=RUNS))


def time_cudnn(shape):
    """Time forward and backward of PyTorch's layers on a GPU, if there are both."""
    try:
        import torch
    except ImportError:
        return {}
    seconds = {}
    for kind in (torch.nn.LSTM, torch.nn.GRU) if torch.cuda.is_available() else ():
        layer, x = kind(shape[-1], shape[-1], batch_first=True).cuda(), torch.randn(shape, device="cuda")
        run = lambda: (layer(x)[0][:, -1].sin().sum().backward(), torch.cuda.synchronize())  # noqa: B023, E731
        seconds[f"cudnn_{kind.__name__.lower()}_seconds"] = median_seconds(run)
    return seconds


def run_program(path):
    """Verify and time one program."""
    os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")  # matmuls in float32
    import jax
    from jax.extend.backend import get_backend

    with np.load(path.with_suffix(".npz")) as saved:
        shape, weights, expected = saved["shape"], *([saved[n] for n in saved if n[0] == kind] for kind in "we")
    program = get_backend().compile_and_load(path.read_text(), jax.local_devices()[:1])
    inputs = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    arguments = [jax.device_put(array) for array in (inputs, *weights)]

    def run():
        return jax.block_until_ready(program.execute_sharded(arguments).disassemble_into_single_device_arrays())

    pairs = zip((np.asarray(shards[0]) for shards in run()), expected, strict=True)
    error = max(float(np.abs(ours - theirs).max() / max(1.0, np.abs(theirs).max())) for ours, theirs in pairs)
    report = {"program": path.stem, "device": jax.local_devices()[0].device_kind, "error": error}
    times = {"seconds": median_seconds(run), **time_cudnn(shape)} if error <= TOLERANCE else {"refused": True}
    return {**report, **times}


if __name__ == "__main__":
    here = Path(__file__).parent
    reports = [run_program(path) for path in sorted(here.glob("*.mlir")) if path.stem in (sys.argv[1:] or [path.stem])]
    print(*map(json.dumps, reports), sep="\n")
    sys.exit(any("refused" in report for report in reports))
