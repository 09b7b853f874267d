"""One competitor's training step of one recurrent layer, timed: `python -m tfpar.bench.recurrent COMPETITOR CASE`.

A step is forward, backward and SGD of a layer that returns its last output; the loss is the mean square to a fixed
target, and the inputs need no gradient. All compute in float32. TensorFlow's competitors run what `fit` runs for each
batch; the others run the loop that their users write.
"""

import json
import re
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

GATES = {"lstm": 4, "gru": 3, "simple_rnn": 1}
CELLS = tuple(GATES)
SIZES = (
    (64, 100, 128, 256),
    (32, 200, 64, 64),
    (128, 50, 256, 512),
    (8, 1024, 64, 64),
    (1, 256, 128, 128),
    (256, 30, 64, 128),
)
PEERS = ("keras", "keras_jit", "torch", "jax")
REFERENCES = ("matmul",)
LEARNING_RATE = 0.01
MATMUL_SIZE = 2048
TIMED_S, FEWEST_STEPS, WARM_UP_STEPS = 2.0, 5, 3


class Case(NamedTuple):
    """A layer and its batch."""

    cell: str
    batch: int
    time: int
    features: int
    units: int

    def __str__(self):
        return f"{self.cell} B{self.batch} T{self.time} I{self.features} H{self.units}"

    @classmethod
    def parsed(cls, text: str) -> "Case":
        """What `str` wrote."""
        cell, *sizes = re.fullmatch(r"(\w+) B(\d+) T(\d+) I(\d+) H(\d+)", text).groups()
        return cls(cell, *map(int, sizes))

    @property
    def flops(self) -> int:
        """Of the matmuls alone: projection, recurrence, its gradient, and the gradients of both kernels."""
        gates = GATES[self.cell] * self.units
        return 2 * self.batch * self.time * gates * (2 * self.features + 3 * self.units)

    def example(self) -> tuple[np.ndarray, np.ndarray]:
        """Inputs (batch, time, features) and targets (batch, units), float32, from a fixed seed."""
        generator = np.random.default_rng(0)
        inputs = generator.normal(size=(self.batch, self.time, self.features))
        return inputs.astype(np.float32), generator.normal(size=(self.batch, self.units)).astype(np.float32) / 2


CASES = tuple(str(Case(cell, *sizes)) for cell in CELLS for sizes in SIZES)
Step = Callable[[], float]


def keras_step(case: Case, ours: bool, jit_compile: bool) -> Step:
    """What `fit` runs for a batch, with this package's model and layers or with stock Keras. It returns the loss."""
    import keras
    import tensorflow as tf

    import tfpar

    layers = tfpar.layers if ours else keras.layers
    layer = {"lstm": layers.LSTM, "gru": layers.GRU, "simple_rnn": layers.SimpleRNN}[case.cell](case.units)
    inputs = keras.Input((case.time, case.features), batch_size=case.batch)
    model = (tfpar.train.Model if ours else keras.Model)(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(LEARNING_RATE), "mse", jit_compile=jit_compile)
    if ours:
        model.lanes = tfpar.cluster.cpu_lanes(tf.distribute.get_strategy(), case.batch)
    dataset = tf.data.Dataset.from_tensors(case.example())
    model.fit(dataset, verbose=0)
    batches = iter(dataset.repeat())
    return lambda: float(model.train_function(batches)["loss"])


def torch_step(case: Case) -> Step:
    """A plain PyTorch loop's step. It returns the loss."""
    import torch

    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "simple_rnn": torch.nn.RNN}[case.cell]
    layer = module(case.features, case.units, batch_first=True)
    optimizer = torch.optim.SGD(layer.parameters(), LEARNING_RATE)
    inputs, targets = map(torch.from_numpy, case.example())

    def step():
        outputs, _ = layer(inputs)
        loss = torch.nn.functional.mse_loss(outputs[:, -1], targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def jax_step(case: Case) -> Step:
    """A jitted `lax.scan` with the projections of all steps before it. It returns the loss."""
    import jax
    import jax.numpy as jnp

    inputs, targets = map(jnp.asarray, case.example())
    generator, gates = np.random.default_rng(1), GATES[case.cell] * case.units
    shapes = {"kernel": (case.features, gates), "recurrent_kernel": (case.units, gates), "bias": (2, gates)}
    weights = {name: jnp.asarray(generator.uniform(-0.05, 0.05, shape), "float32") for name, shape in shapes.items()}

    def loss_of(weights):
        def advance(states, projected):
            recurrent = states[0] @ weights["recurrent_kernel"] + weights["bias"][1]
            states = _jax_cell(jax, case.cell, projected, recurrent, states)
            return states, None

        projected = jnp.swapaxes(inputs, 0, 1) @ weights["kernel"] + weights["bias"][0]
        zeros = jnp.zeros((case.batch, case.units))
        (last, *_), _ = jax.lax.scan(advance, (zeros,) * (2 if case.cell == "lstm" else 1), projected)
        return jnp.mean((last - targets) ** 2)

    @jax.jit
    def update(weights):
        loss, gradients = jax.value_and_grad(loss_of)(weights)
        return loss, jax.tree.map(lambda weight, gradient: weight - LEARNING_RATE * gradient, weights, gradients)

    def step():
        nonlocal weights
        loss, weights = update(weights)
        return float(jax.block_until_ready((loss, weights))[0])

    return step


def _jax_cell(jax, cell, projected, recurrent, states):
    """States of a step, from its x W + b and h U + b."""
    jnp, sigmoid = jax.numpy, jax.nn.sigmoid
    if cell == "simple_rnn":
        return (jnp.tanh(projected + recurrent),)
    if cell == "gru":
        (x_z, x_r, x_n), (h_z, h_r, h_n) = (jnp.split(part, 3, axis=-1) for part in (projected, recurrent))
        z, n = sigmoid(x_z + h_z), jnp.tanh(x_n + sigmoid(x_r + h_r) * h_n)
        return (z * states[0] + (1 - z) * n,)
    i, f, g, o = jnp.split(projected + recurrent, 4, axis=-1)
    c = sigmoid(f) * states[1] + sigmoid(i) * jnp.tanh(g)
    return sigmoid(o) * jnp.tanh(c), c


def matmul_step(case: Case) -> Step:
    """The largest matmul rate of this machine is measured by one of `MATMUL_SIZE` cubed, whatever the case."""
    import tensorflow as tf

    left, right = (tf.random.stateless_normal([MATMUL_SIZE] * 2, [seed, 0]) for seed in (0, 1))
    multiply = tf.function(lambda: tf.reduce_sum(tf.matmul(left, right)[0]))
    return lambda: float(multiply())


COMPETITORS = {
    "tfpar": lambda case: keras_step(case, ours=True, jit_compile=True),
    "keras": lambda case: keras_step(case, ours=False, jit_compile=False),
    "keras_jit": lambda case: keras_step(case, ours=False, jit_compile=True),
    "torch": torch_step,
    "jax": jax_step,
    "matmul": matmul_step,
}


def seconds_per_step(step: Step) -> float:
    """Median over some seconds, after a few steps in which programs are compiled and memory is found."""
    for _ in range(WARM_UP_STEPS):
        step()
    seconds, end = [], time.perf_counter() + TIMED_S
    while len(seconds) < FEWEST_STEPS or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def row(case: str, seconds: dict[str, float]) -> dict:
    """The figures of a case, from the median seconds of each competitor."""
    flops_per_second = Case.parsed(case).flops / seconds["tfpar"]
    peak = 2 * MATMUL_SIZE**3 / seconds["matmul"]
    return {"case": case, "gflops_per_second": flops_per_second / 1e9, "peak_fraction": flops_per_second / peak}


if __name__ == "__main__":
    print(json.dumps({"seconds": seconds_per_step(COMPETITORS[sys.argv[1]](Case.parsed(sys.argv[2])))}))
