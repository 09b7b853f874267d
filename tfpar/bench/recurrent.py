"""One competitor's step of one recurrent network, timed: `python -m tfpar.bench.recurrent COMPETITOR CASE`.

A step is forward, backward and SGD of layers that return their last output; the loss is the mean square to a fixed
target, and the inputs need no gradient. For a case of inference it is the answer to one input. All compute in float32.
TensorFlow's competitors run what `fit` runs, with eight steps an execution, as recipes do; the others run the loop that
their users write.
"""

import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfpar.bench import STEPS_PER_EXECUTION
from tfpar.bench.cases import GATES, Case
from tfpar.bench.memory import peak_resident_bytes, resident_bytes

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
ANSWERS = [Case(cell, 1, 100, 128, units, inference=True) for cell in ("lstm", "gru") for units in (128, 256)]
CASES = tuple(map(str, LAYERS + MODELS + ANSWERS))
SMALLEST = Case("lstm", 1, 2, 1, 1)
PEERS = ("keras", "keras_jit", "torch", "jax")
REFERENCES = ("matmul",)
LEARNING_RATE = 0.01
MATMUL_SIZE = 2048
TIMED_S, FEWEST_STEPS, WARM_UP_STEPS = 2.0, 5, 3


class Steps(NamedTuple):
    """A call that runs `number` steps, or answers as many inputs, and returns the loss, or a number of the answer."""

    run: Callable[[], float]
    number: int = 1


def keras_step(case: Case, ours: bool, jit_compile: bool) -> Steps:
    """What `fit` runs, with this package's model and layers or with stock Keras; for a case of inference the model is
    called in a `tf.function`."""
    import keras
    import tensorflow as tf

    import tfpar

    layers = tfpar.layers if ours else keras.layers
    layer = {"lstm": layers.LSTM, "gru": layers.GRU, "simple_rnn": layers.SimpleRNN}[case.cell]
    batch = case.example()
    inputs = keras.Input(batch[0].shape[1:], batch_size=case.batch, dtype=batch[0].dtype.name)
    x = keras.layers.Embedding(case.vocabulary, case.features)(inputs) if case.vocabulary else inputs
    for number in range(1, case.layers + 1):
        x = layer(case.units, return_sequences=number < case.layers)(x)
    model = (tfpar.train.Model if ours else keras.Model)(inputs, x)
    if case.inference:
        answer = tf.function(lambda x: model(x, training=False), jit_compile=jit_compile, autograph=False)
        given = tf.constant(batch[0])
        return Steps(lambda: float(answer(given).numpy()[0, 0]))
    optimizer = keras.optimizers.SGD(LEARNING_RATE)
    model.compile(optimizer, "mse", jit_compile=jit_compile, steps_per_execution=STEPS_PER_EXECUTION)
    if ours:
        model.lanes = tfpar.cluster.cpu_lanes(tf.distribute.get_strategy(), case.batch)
    dataset = tf.data.Dataset.from_tensors(batch).repeat()
    model.fit(dataset, steps_per_epoch=STEPS_PER_EXECUTION, verbose=0)
    batches = iter(dataset)
    return Steps(lambda: float(model.train_function(batches)["loss"]), STEPS_PER_EXECUTION)


def torch_step(case: Case) -> Steps:
    """A plain PyTorch loop's step."""
    import torch

    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "simple_rnn": torch.nn.RNN}[case.cell]
    layers = module(case.features, case.units, num_layers=case.layers, batch_first=True)
    embedding = torch.nn.Embedding(case.vocabulary, case.features) if case.vocabulary else torch.nn.Identity()
    optimizer = torch.optim.SGD([*embedding.parameters(), *layers.parameters()], LEARNING_RATE)
    inputs, targets = map(torch.from_numpy, case.example())

    def step():
        outputs, _ = layers(embedding(inputs))
        loss = torch.nn.functional.mse_loss(outputs[:, -1], targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    def answer():
        with torch.inference_mode():
            outputs, _ = layers(embedding(inputs))
            return outputs[0, -1, 0].item()

    return Steps(answer if case.inference else step)


def jax_step(case: Case) -> Steps:
    """A jitted `lax.scan` for each layer, with the projections of all steps before it."""
    import jax
    import jax.numpy as jnp

    inputs, targets = map(jnp.asarray, case.example())
    generator, gates = np.random.default_rng(1), GATES[case.cell] * case.units

    def drawn(*shape):
        return jnp.asarray(generator.uniform(-0.05, 0.05, shape), "float32")

    features = [case.features] + [case.units] * (case.layers - 1)
    layers = [
        {"kernel": drawn(f, gates), "recurrent": drawn(case.units, gates), "bias": drawn(2, gates)} for f in features
    ]
    weights = {"layers": layers, "embedding": drawn(case.vocabulary, case.features) if case.vocabulary else None}

    def last_output(weights, inputs):
        sequence = jnp.swapaxes(weights["embedding"][inputs] if case.vocabulary else inputs, 0, 1)
        for layer in weights["layers"]:
            last, sequence = _jax_layer(jax, case, layer, sequence)
        return last

    def loss_of(weights):
        return jnp.mean((last_output(weights, inputs) - targets) ** 2)

    @jax.jit
    def update(weights):
        loss, gradients = jax.value_and_grad(loss_of)(weights)
        return loss, jax.tree.map(lambda weight, gradient: weight - LEARNING_RATE * gradient, weights, gradients)

    def step():
        nonlocal weights
        loss, weights = update(weights)
        return float(jax.block_until_ready((loss, weights))[0])

    compiled = jax.jit(last_output)
    return Steps((lambda: float(np.asarray(compiled(weights, inputs))[0, 0])) if case.inference else step)


def _jax_layer(jax, case, layer, sequence):
    """The last output, and all of them, (time, batch, units)."""

    def advance(states, projected):
        recurrent = states[0] @ layer["recurrent"] + layer["bias"][1]
        states = _jax_cell(jax, case.cell, projected, recurrent, states)
        return states, states[0]

    projected = sequence @ layer["kernel"] + layer["bias"][0]
    zeros = jax.numpy.zeros((case.batch, case.units))
    (last, *_), sequence = jax.lax.scan(advance, (zeros,) * (2 if case.cell == "lstm" else 1), projected)
    return last, sequence


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


def matmul_step(case: Case) -> Steps:
    """The largest matmul rate of this machine is measured by one of `MATMUL_SIZE` cubed, whatever the case."""
    import tensorflow as tf

    left, right = (tf.random.stateless_normal([MATMUL_SIZE] * 2, [seed, 0]) for seed in (0, 1))
    multiply = tf.function(lambda: tf.reduce_sum(tf.matmul(left, right)[0]))
    return Steps(lambda: float(multiply()))


COMPETITORS = {
    "tfpar": lambda case: keras_step(case, ours=True, jit_compile=True),
    "keras": lambda case: keras_step(case, ours=False, jit_compile=False),
    "keras_jit": lambda case: keras_step(case, ours=False, jit_compile=True),
    "torch": torch_step,
    "jax": jax_step,
    "matmul": matmul_step,
}


def seconds_per_step(steps: Steps) -> float:
    """Median over some seconds, after a few steps in which programs are compiled and memory is found."""
    for _ in range(math.ceil(WARM_UP_STEPS / steps.number)):
        steps.run()
    seconds, end = [], time.perf_counter() + TIMED_S
    while len(seconds) * steps.number < FEWEST_STEPS or time.perf_counter() < end:
        start = time.perf_counter()
        steps.run()
        seconds.append((time.perf_counter() - start) / steps.number)
    return statistics.median(seconds)


def row(case: str, seconds: dict[str, float]) -> dict:
    """The figures of a case, from the median seconds of each competitor."""
    flops_per_second = Case.parsed(case).flops / seconds["tfpar"]
    peak = 2 * MATMUL_SIZE**3 / seconds["matmul"]
    return {"case": case, "gflops_per_second": flops_per_second / 1e9, "peak_fraction": flops_per_second / peak}


def figures(competitor: str, case: Case) -> dict:
    """Median seconds of a step, and the bytes that the network, its batch and its steps take, or None."""
    COMPETITORS[competitor](SMALLEST).run()  # what a framework takes for itself is not counted
    before = resident_bytes()
    steps = COMPETITORS[competitor](case)
    seconds = seconds_per_step(steps)
    peak = peak_resident_bytes(steps.run, math.ceil(FEWEST_STEPS / steps.number))
    return {"seconds": seconds, "memory_bytes": None if peak is None else peak - before}


if __name__ == "__main__":
    print(json.dumps(figures(sys.argv[1], Case.parsed(sys.argv[2]))))
