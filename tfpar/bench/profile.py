"""Where the time of a step of training goes, by XLA's profiler: `python -m tfpar.bench.profile tfpar CASE`.

A lane runs the turns of a loop one after another, and so the at most eight kernels of each. Outside loops kernels run
side by side, and only what they take together is known. A kernel that several threads compute lasts until the last of
them ends.
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

# Not those of small layers, whose steps the profiler makes twice as long.
CASES = tuple(str(case) for case in LAYERS + MODELS if case.batch >= 64)
PEERS = REFERENCES = ()
_MATMUL = re.compile(r"(MatMul|Tensordot|dot|ynn_fusion)", re.IGNORECASE)


class Kernel(NamedTuple):
    """One run of a kernel, or of a loop: the program and the HLO that it is from, and how long it took."""

    program: str
    name: str
    seconds: float


def parts(kernels: list[Kernel], case: Case, lanes: int, steps: int, seconds: float, peak: float) -> dict[str, dict]:
    """Seconds of a lane in a step, and, of matmuls, the share of the peak at which they run, or at which they would run
    were they all.

    Args:
        kernels: all that ran.
        case: what they computed.
        lanes: how many lanes ran at the same time.
        steps: how many steps they took.
        seconds: of a step.
        peak: matmul FLOP/s of all lanes together.
    """
    runs = collections.Counter(kernel[:2] for kernel in kernels)
    matmuls = others = loops = 0.0
    for kernel in kernels:
        spent = kernel.seconds / lanes / steps
        if kernel.name.startswith("while"):
            loops += spent
        elif runs[kernel[:2]] > lanes * steps:  # it is of a loop
            is_matmul = _MATMUL.match(kernel.name) is not None
            matmuls, others = matmuls + is_matmul * spent, others + (not is_matmul) * spent
    outside = seconds - loops
    return {
        "matmuls in loops": {"seconds": matmuls, "peak_fraction": case.loop_flops / matmuls / peak},
        "other kernels in loops": {"seconds": others},
        "between kernels in loops": {"seconds": loops - matmuls - others},
        "outside loops": {"seconds": outside, "peak_fraction": (case.flops - case.loop_flops) / outside / peak},
    }


def kernels_of(directory: Path) -> list[Kernel]:
    """What XLA ran, as TensorFlow's profiler has written it."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    (path,) = directory.rglob("*.xplane.pb")
    space.ParseFromString(path.read_bytes())
    return [kernel for plane in space.planes for kernel in _kernels_of_plane(plane)]


def _kernels_of_plane(plane):
    begun, ends = [], {}
    for line in plane.lines:
        for event in line.events:
            said = {plane.stat_metadata[stat.metadata_id].name: _value(stat, plane) for stat in event.stats}
            start = line.timestamp_ns * 1e-9 + event.offset_ps * 1e-12
            if "hlo_op" in said:
                begun.append((said, start, start + event.duration_ps * 1e-12))
            elif "_c" in said:
                ends[said["_c"]] = start  # where another thread goes on when the kernel has ended
    return [
        Kernel(said["hlo_module"], said["hlo_op"], max(end, ends.get(said.get("_p"), end)) - start)
        for said, start, end in begun
    ]


def _value(stat, plane):
    kind = stat.WhichOneof("value")
    return plane.stat_metadata[stat.ref_value].name if kind == "ref_value" else getattr(stat, kind)


def figures(case: Case) -> dict:
    """Seconds of a step under the profiler, the share of the matmul peak, and `parts`."""
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
        kernels = kernels_of(Path(directory))
    peak = MATMUL_FLOPS / min(matmul_seconds, seconds_per_step(matmul))  # of the machine's better moment
    lanes = tfpar.cluster.cpu_lanes(tf.distribute.get_strategy(), case.batch)
    return {
        "seconds": seconds,
        "peak_fraction": case.flops / seconds / peak,
        "parts": parts(kernels, case, lanes, steps.number, seconds, peak),
    }


def row(case: str, seconds: dict[str, float]) -> dict:
    """All else that a run says is added to it."""
    return {"case": case}


if __name__ == "__main__":
    print(json.dumps(figures(Case.parsed(sys.argv[2]))))
