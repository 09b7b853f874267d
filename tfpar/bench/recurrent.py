"""One competitor's step of one recurrent network, timed: `python -m tfpar.bench.recurrent COMPETITOR CASE`.

A step is forward, backward and SGD of layers that return their last output; the loss is the mean square to a fixed
target, and the inputs need no gradient. For a case of inference it is the answer to one input. All compute in float32.
TensorFlow's competitors run what `fit` runs for each batch; the others run the loop that their users write.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

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

Step = Callable[[], float]


def keras_step(case: Case, ours: bool, jit_compile: bool) -> Step:
    """What `fit` runs for a batch, with this package's model and layers or with stock Keras. It returns the loss; for
    a case of inference the model is called in a `tf.function`, and a number of its answer returned."""
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
        return lambda: float(answer(given).numpy()[0, 0])
    model.compile(keras.optimizers.SGD(LEARNING_RATE), "mse", jit_compile=jit_compile)
    if ours:
        model.lanes = tfpar.cluster.cpu_lanes(tf.distribute.get_strategy(), case.batch)
    dataset = tf.data.Dataset.from_tensors(batch)
    model.fit(dataset, verbose=0)
    batches = iter(dataset.repeat())
    return lambda: float(model.train_function(batches)["loss"])


def torch_step(case: Case) -> Step:
    """A plain PyTorch loop's step. It returns the loss, or a number of the answer."""
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

    return answer if case.inference else step


def jax_step(case: Case) -> Step:
    """A jitted `lax.scan` for each layer, with the projections of all steps before it. It returns the loss, or a number
    of the answer."""
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
    return (lambda: float(np.asarray(compiled(weights, inputs))[0, 0])) if case.inference else step


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


def figures(competitor: str, case: Case) -> dict:
    """Median seconds of a step, and the bytes that the network, its batch and its steps take, or None."""
    COMPETITORS[competitor](SMALLEST)()  # what a framework takes for itself is not counted
    before = resident_bytes()
    step = COMPETITORS[competitor](case)
    seconds, peak = seconds_per_step(step), peak_resident_bytes(step, FEWEST_STEPS)
    return {"seconds": seconds, "memory_bytes": None if peak is None else peak - before}


if __name__ == "__main__":
    print(json.dumps(figures(sys.argv[1], Case.parsed(sys.argv[2]))))
