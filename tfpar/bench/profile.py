"""Splits the time of a training step by XLA's profiler: `python -m tfpar.bench.profile tfpar CASE`.

A lane runs the iterations of a loop sequentially, and so the (at most eight) kernels of an iteration. Outside loops
kernels run concurrently, and only their total time is known. A kernel on several threads ends with the last of them.
"""

import collections
import json
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tfpar.bench.cases import Case
from tfpar.bench.recurrent import LAYERS, MATMUL_FLOPS, MODELS, matmul_step, seconds_per_step
from tfpar.bench.recurrent_steps import keras_step

# Without small layers, whose steps take twice as long under the profiler.
CASES = tuple(str(case) for case in LAYERS + MODELS if case.batch >= 64)
PEERS = REFERENCES = ()
_MATMUL = re.compile(r"(MatMul|Tensordot|dot|ynn_fusion)", re.IGNORECASE)


class Kernel(NamedTuple):
    """One run of a kernel or of a loop.

    Attributes:
        program: the XLA program.
        name: of the HLO instruction.
        seconds: duration.
    """

    program: str
    name: str
    seconds: float


def split_step_time(
    kernels: list[Kernel], case: Case, lanes: int, steps: int, seconds: float, peak: float
) -> dict[str, dict]:
    """Split the time of a training step into matmuls, other kernels and gaps.

    Args:
        kernels: all kernel runs.
        case: the network.
        lanes: number of concurrent lanes.
        steps: number of steps.
        seconds: of a step.
        peak: matmul FLOP/s of all lanes together.

    Returns:
        By kind, {"seconds" of a lane in a step} and, for matmuls, "peak_fraction": their rate relative to `peak`;
        outside loops it assumes that all time is matmuls.
    """
    runs = collections.Counter(kernel[:2] for kernel in kernels)
    matmuls = others = loops = 0.0
    for kernel in kernels:
        spent = kernel.seconds / lanes / steps
        if kernel.name.startswith("while"):
            loops += spent
        elif runs[kernel[:2]] > lanes * steps:  # it is in a loop
            is_matmul = _MATMUL.match(kernel.name) is not None
            matmuls, others = matmuls + is_matmul * spent, others + (not is_matmul) * spent
    outside = seconds - loops
    return {
        "matmuls in loops": {"seconds": matmuls, "peak_fraction": case.loop_flops / matmuls / peak},
        "other kernels in loops": {"seconds": others},
        "between kernels in loops": {"seconds": loops - matmuls - others},
        "outside loops": {"seconds": outside, "peak_fraction": (case.flops - case.loop_flops) / outside / peak},
    }


def read_kernels(directory: Path) -> list[Kernel]:
    """Read the XLA kernel runs from the files of TensorFlow's profiler."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    (path,) = directory.rglob("*.xplane.pb")
    space.ParseFromString(path.read_bytes())
    return [kernel for plane in space.planes for kernel in _read_plane(plane)]


def _read_plane(plane):
    started, ends = [], {}
    for line in plane.lines:
        for event in line.events:
            stats = {plane.stat_metadata[stat.metadata_id].name: _value(stat, plane) for stat in event.stats}
            start = line.timestamp_ns * 1e-9 + event.offset_ps * 1e-12
            if "hlo_op" in stats:
                started.append((stats, start, start + event.duration_ps * 1e-12))
            elif "_c" in stats:
                ends[stats["_c"]] = start  # another thread continues here after the kernel has ended
    return [
        Kernel(stats["hlo_module"], stats["hlo_op"], max(end, ends.get(stats.get("_p"), end)) - start)
        for stats, start, end in started
    ]


def _value(stat, plane):
    kind = stat.WhichOneof("value")
    return plane.stat_metadata[stat.ref_value].name if kind == "ref_value" else getattr(stat, kind)


def measure(case: Case) -> dict:
    """Measure the seconds of a step under the profiler, the fraction of the matmul peak, and `split_step_time`."""
    import tensorflow as tf

    import tfpar

    matmul = matmul_step(case)
    matmul_seconds = seconds_per_step(matmul)
    steps = keras_step(case, "tfpar", jit_compile=True)
    for _ in range(2):
        steps.run()
    with tempfile.TemporaryDirectory() as directory:
        with tf.profiler.experimental.Profile(directory):
            start = time.perf_counter()
            steps.run()
            seconds = (time.perf_counter() - start) / steps.number
        kernels = read_kernels(Path(directory))
    peak = MATMUL_FLOPS / min(matmul_seconds, seconds_per_step(matmul))  # the faster of two measurements
    lanes = tfpar.cluster.cpu_lanes(tf.distribute.get_strategy(), case.batch)
    return {
        "seconds": seconds,
        "peak_fraction": case.flops / seconds / peak,
        "parts": split_step_time(kernels, case, lanes, steps.number, seconds, peak),
    }


def row(case: str, seconds: dict[str, float]) -> dict:
    """Make the row of a case; the other results of a run are added to it."""
    return {"case": case}


if __name__ == "__main__":
    print(json.dumps(measure(Case.parse(sys.argv[2]))))
