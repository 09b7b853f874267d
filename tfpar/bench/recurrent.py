"""Times one competitor's step of one recurrent network: `python -m tfpar.bench.recurrent COMPETITOR CASE`.

A step is forward, backward and SGD of layers that return their last output. The loss is the mean squared error to a
fixed target, and the inputs need no gradient. For a case of inference it is one forward pass. All compute in float32.
TensorFlow's competitors run the train function of `fit`, with eight steps per execution, as recipes do; the others run
a plain training loop.
"""

import json
import math
import statistics
import sys
import time

from tfpar.bench.cases import GATES, Case
from tfpar.bench.memory import peak_resident_bytes, resident_bytes
from tfpar.bench.recurrent_steps import Steps, jax_step, keras_step, torch_step

SIZES = (
    (64, 100, 128, 256),
    (32, 200, 64, 64),
    (128, 50, 256, 512),
    (8, 1024, 64, 64),
    (1, 256, 128, 128),
    (256, 30, 64, 128),
)
LAYERS = [Case(cell, *sizes) for cell in GATES for sizes in SIZES]
MODELS = [Case(cell, 64, 50, 128, 256, layers=2, vocabulary=20_000) for cell in ("lstm", "gru")]
INFERENCE = [Case(cell, 1, 100, 128, units, inference=True) for cell in ("lstm", "gru") for units in (128, 256)]
CASES = tuple(map(str, LAYERS + MODELS + INFERENCE))
PEERS = ("keras", "keras_jit", "torch", "jax")
REFERENCES = ("matmul",)
MATMUL_SIZE = 2048
MATMUL_FLOPS = 2 * MATMUL_SIZE**3
SMALLEST = Case("lstm", 1, 2, 1, 1)
TIMED_S, FEWEST_STEPS, WARM_UP_STEPS = 2.0, 5, 3


def matmul_step(case: Case) -> Steps:
    """Make a step that measures the matmul peak of this machine: one matmul of size `MATMUL_SIZE`, for any case."""
    import tensorflow as tf

    left, right = (tf.random.stateless_normal([MATMUL_SIZE] * 2, [seed, 0]) for seed in (0, 1))
    multiply = tf.function(lambda: tf.reduce_sum(tf.matmul(left, right)[0]))
    return Steps(lambda: float(multiply()))


COMPETITORS = {
    "tfpar": lambda case: keras_step(case, "tfpar", jit_compile=True),
    "keras": lambda case: keras_step(case, "keras", jit_compile=False),
    "keras_jit": lambda case: keras_step(case, "keras", jit_compile=True),
    "torch": torch_step,
    "jax": jax_step,
    "matmul": matmul_step,
}


def seconds_per_step(steps: Steps, timed_s: float = TIMED_S) -> float:
    """Measure the median time of a step in seconds, after a few steps of compilation and memory allocation."""
    for _ in range(math.ceil(WARM_UP_STEPS / steps.number)):
        steps.run()
    seconds: list[float] = []
    end = time.perf_counter() + timed_s
    while len(seconds) * steps.number < FEWEST_STEPS or time.perf_counter() < end:
        start = time.perf_counter()
        steps.run()
        seconds.append((time.perf_counter() - start) / steps.number)
    return statistics.median(seconds)


def row(case: str, seconds: dict[str, float]) -> dict:
    """Make the row of a case from the median seconds of each competitor."""
    flops_per_second = Case.parse(case).flops / seconds["tfpar"]
    peak = MATMUL_FLOPS / seconds["matmul"]
    return {"case": case, "gflops_per_second": flops_per_second / 1e9, "peak_fraction": flops_per_second / peak}


def measure(competitor: str, case: Case) -> dict:
    """Measure the median seconds of a step, and the memory in bytes of network, batch and steps (None: unknown)."""
    COMPETITORS[competitor](SMALLEST._replace(inference=case.inference)).run()
    before = resident_bytes()  # excludes the memory of the framework itself
    steps = COMPETITORS[competitor](case)
    seconds = seconds_per_step(steps)
    peak = peak_resident_bytes(steps.run, math.ceil(FEWEST_STEPS / steps.number))
    return {"seconds": seconds, "memory_bytes": None if peak is None or before is None else peak - before}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], Case.parse(sys.argv[2]))))
