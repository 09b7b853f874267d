"""Times a training step of a cell that runs in parallel over time: `python -m tfpar.bench.scan COMPETITOR CASE`.

A step is forward, backward and SGD of one layer that returns its last output, all in float32. Peers are the recurrent
layers of the same batch, length and width that one would use instead, and an associative scan in JAX. Our layer is
timed only if its outputs and gradients equal those of its equations, run step by step.
"""

import functools
import json
import re
import sys
from typing import NamedTuple

import numpy as np

from tfpar.bench.cases import Case
from tfpar.bench.memory import peak_resident_bytes, resident_bytes
from tfpar.bench.recurrent import seconds_per_step
from tfpar.bench.recurrent_steps import Steps, jax_update, keras_step, torch_step

TOLERANCE = 1e-4  # of outputs and gradients, relative to the largest
VERIFIED_STEPS = 200  # steps of the equality check


class ScanCase(NamedTuple):
    """One layer, whose input has as many features as it has units.

    Attributes:
        cell: a built-in value of `--cell`.
        evaluation: of the layer.
        batch, time, units: sizes.
    """

    cell: str
    evaluation: str
    batch: int
    time: int
    units: int

    def __str__(self):
        return f"{self.cell} {self.evaluation} B{self.batch} T{self.time} H{self.units}"

    @classmethod
    def parse(cls, text: str) -> "ScanCase":
        """Parse the output of `str`."""
        match = re.fullmatch(r"(\w+) (\w+) B(\d+) T(\d+) H(\d+)", text)
        if match is None:
            raise ValueError(f"`text` must be the output of `str`; got {text!r}.")
        cell, evaluation, *sizes = match.groups()
        return cls(cell, evaluation, *map(int, sizes))

    def sizes(self, cell: str) -> Case:
        """Return the case of a cell of the same sizes."""
        return Case(cell, self.batch, self.time, self.units, self.units)


LENGTHS = (64, 256, 1024, 4096, 16384, 65536)
LINEAR = [ScanCase(cell, "auto", 8, time, 64) for cell in ("min_gru", "min_lstm", "rg_lru") for time in LENGTHS]
MATRIX = [ScanCase("mlstm", "auto", 8, time, 128) for time in LENGTHS[:4]]
NEWTON = [
    ScanCase("para_gru", evaluation, 8, time, 64) for evaluation in ("sequential", "newton") for time in LENGTHS[:4]
]
CASES = tuple(map(str, LINEAR + MATRIX + NEWTON))
PEERS = ("keras_lstm", "keras_gru", "torch_lstm", "torch_gru", "jax", "tfpar_lstm")
REFERENCES = ()


def make_layer(case: ScanCase, units: int, **options):
    """Make the layer of a case."""
    from tfpar.layers.recurrent.cells import find_layer

    return find_layer(case.cell)(units, evaluation=case.evaluation, **options)


def find_difference(case: ScanCase) -> str | None:
    """Compare the layer, compiled by XLA, with its equations, step by step; return what differs, or None.

    At most `VERIFIED_STEPS` steps are compared, of outputs and of the gradients of all weights.
    """
    import tensorflow as tf

    from tfpar.layers.recurrent.kernels.unrolled import run_unrolled

    steps = min(case.time, VERIFIED_STEPS)
    layer = make_layer(case, case.units, return_sequences=True)
    inputs = tf.random.stateless_normal((case.batch, steps, case.units), [1, 2])
    layer(inputs[:, :2])

    def run(outputs_of):
        with tf.GradientTape() as tape:
            outputs = outputs_of(inputs)
            loss = tf.reduce_sum(tf.sin(outputs))
        return [outputs, *tape.gradient(loss, [weight.value for weight in layer.trainable_weights])]

    compiled = tf.function(lambda: run(layer), jit_compile=True, autograph=False)()
    expected = run(lambda x: run_unrolled(layer.prepare(x)[1]).sequence)
    names = ["the output", *(f"the gradient of {weight.name}" for weight in layer.trainable_weights)]
    for name, ours, theirs in zip(names, compiled, expected, strict=True):
        difference = float(tf.reduce_max(tf.abs(ours - theirs)))
        limit = TOLERANCE * max(1.0, float(tf.reduce_max(tf.abs(theirs))))
        if not difference <= limit:
            return f"{name} differs by {difference:.3g} from that of the equations; the tolerance is {limit:.3g}"
    return None


def jax_step(case: ScanCase) -> Steps:
    """Make a jitted step of a MinGRU by `jax.lax.associative_scan`."""
    import jax
    import jax.numpy as jnp

    inputs, targets = map(jnp.asarray, case.sizes("gru").example())
    generator = np.random.default_rng(1)
    weights = {
        "kernel": jnp.asarray(generator.uniform(-0.05, 0.05, (case.units, 2 * case.units)), "float32"),
        "bias": jnp.zeros(2 * case.units),
    }

    def compose(first, second):
        return first[0] * second[0], second[0] * first[1] + second[1]

    def loss_of(weights):
        z, n = jnp.split(inputs @ weights["kernel"] + weights["bias"], 2, axis=-1)
        z, n = jax.nn.sigmoid(z), jnp.where(n >= 0, n + 0.5, jax.nn.sigmoid(n))
        _, h = jax.lax.associative_scan(compose, (1 - z, z * n), axis=1)
        return jnp.mean((h[:, -1] - targets) ** 2)

    return Steps(jax_update(loss_of, weights))


def _keras_step(case, cell, whose, **options):
    """One step per execution, since steps of long sequences take seconds."""
    return keras_step(case.sizes(cell), whose, jit_compile=whose == "tfpar", steps_per_execution=1, **options)


COMPETITORS = {
    "tfpar": lambda case: _keras_step(case, case.cell, "tfpar", layer=functools.partial(make_layer, case)),
    "tfpar_lstm": lambda case: _keras_step(case, "lstm", "tfpar"),
    "keras_lstm": lambda case: _keras_step(case, "lstm", "keras"),
    "keras_gru": lambda case: _keras_step(case, "gru", "keras"),
    "torch_lstm": lambda case: torch_step(case.sizes("lstm")),
    "torch_gru": lambda case: torch_step(case.sizes("gru")),
    "jax": jax_step,
}


def row(case: str, seconds: dict[str, float]) -> dict:
    """Make the row of a case from the median seconds of each competitor."""
    return {"case": case, "microseconds_per_step": 1e6 * seconds["tfpar"] / ScanCase.parse(case).time}


def measure(competitor: str, case: ScanCase) -> dict:
    """Measure the median seconds of a training step and the memory in bytes of layer, batch and steps.

    A layer of ours that differs from its equations is not timed: the result is then {"refused": reason}.
    """
    if competitor == "tfpar" and (difference := find_difference(case)) is not None:
        return {"refused": difference}
    COMPETITORS[competitor](case._replace(batch=1, time=2)).run()
    before = resident_bytes()  # excludes the memory of the framework itself
    steps = COMPETITORS[competitor](case)
    seconds = seconds_per_step(steps)
    peak = peak_resident_bytes(steps.run, 2)
    return {"seconds": seconds, "memory_bytes": None if peak is None or before is None else peak - before}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], ScanCase.parse(sys.argv[2]))))
