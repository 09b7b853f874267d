"""One step of a recurrent network, or one answer, as each competitor's users would run it."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tfpar.bench import STEPS_PER_EXECUTION
from tfpar.bench.cases import GATES, Case

LEARNING_RATE = 0.01


class Steps(NamedTuple):
    """A call that runs `number` steps, or answers as many inputs, and returns the loss, or a number of the answer."""

    run: Callable[[], float]
    number: int = 1


def keras_step(case: Case, whose: str, jit_compile: bool) -> Steps:
    """What `fit` runs, with stock Keras ("keras") or with this package's model and layers ("tfpar"); for a case of
    inference the model is called in a `tf.function`."""
    import keras
    import tensorflow as tf

    import tfpar

    ours, layer = whose != "keras", _layer(case.cell, whose)
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


def _layer(cell, whose):
    import keras

    import tfpar

    layers = keras.layers if whose == "keras" else tfpar.layers
    return {"lstm": layers.LSTM, "gru": layers.GRU, "simple_rnn": layers.SimpleRNN}[cell]


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
