"""Training steps and forward passes of a recurrent network in each framework, in its usual way."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tfpar.bench import STEPS_PER_EXECUTION
from tfpar.bench.cases import GATES, Case

LEARNING_RATE = 0.01


class Steps(NamedTuple):
    """Training steps, or forward passes.

    Attributes:
        run: function that runs `number` steps; returns the loss or, for inference, one number of the output.
        number: of steps in one call.
    """

    run: Callable[[], float]
    number: int = 1


def keras_step(
    case: Case, whose: str, jit_compile: bool, layer: Any = None, steps_per_execution: int = STEPS_PER_EXECUTION
) -> Steps:
    """Make the train function of `fit` or, for a case of inference, the model's call in a `tf.function`.

    Args:
        case: the network.
        whose: "keras", stock Keras; or "tfpar", this package's model and layers.
        jit_compile: whether XLA compiles it.
        layer: makes a layer from units and `return_sequences`; None: the class of the case's cell.
        steps_per_execution: training steps in one call.
    """
    import keras
    import tensorflow as tf

    import tfpar

    ours, layer = whose != "keras", layer or _layer(case.cell, whose)
    batch = case.example()
    inputs = keras.Input(batch[0].shape[1:], batch_size=case.batch, dtype=batch[0].dtype.name)
    x = keras.layers.Embedding(case.vocabulary, case.features)(inputs) if case.vocabulary else inputs
    for number in range(1, case.layers + 1):
        x = layer(case.units, return_sequences=number < case.layers)(x)
    model = (tfpar.train.Model if ours else keras.Model)(inputs, x)
    if case.inference:
        predict = tf.function(lambda x: model(x, training=False), jit_compile=jit_compile, autograph=False)
        tensor = tf.constant(batch[0])
        return Steps(lambda: float(predict(tensor).numpy()[0, 0]))
    optimizer = keras.optimizers.SGD(LEARNING_RATE)
    model.compile(optimizer, "mse", jit_compile=jit_compile, steps_per_execution=steps_per_execution)
    if ours:
        model.lanes = tfpar.cluster.cpu_lanes(tf.distribute.get_strategy(), case.batch)
    dataset = tf.data.Dataset.from_tensors(batch).repeat()
    model.fit(dataset, steps_per_epoch=steps_per_execution, verbose=0)
    batches = iter(dataset)
    train: Any = model.train_function  # `fit` made it
    return Steps(lambda: float(train(batches)["loss"]), steps_per_execution)


def _layer(cell, whose):
    import keras

    import tfpar

    layers = keras.layers if whose == "keras" else tfpar.layers
    return {"lstm": layers.LSTM, "gru": layers.GRU, "simple_rnn": layers.SimpleRNN}[cell]


def torch_step(case: Case) -> Steps:
    """Make a step of a plain PyTorch loop."""
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

    def predict():
        with torch.inference_mode():
            outputs, _ = layers(embedding(inputs))
            return outputs[0, -1, 0].item()

    return Steps(predict if case.inference else step)


def jax_update(loss_of: Callable, weights: Any) -> Callable[[], float]:
    """Make a jitted step of gradient descent, which returns the loss.

    Args:
        loss_of: weights -> scalar loss.
        weights: the first ones, a tree of arrays.
    """
    import jax

    @jax.jit
    def update(weights):
        loss, gradients = jax.value_and_grad(loss_of)(weights)
        return loss, jax.tree.map(lambda weight, gradient: weight - LEARNING_RATE * gradient, weights, gradients)

    def step():
        nonlocal weights
        loss, weights = update(weights)
        return float(jax.block_until_ready((loss, weights))[0])

    return step


def jax_step(case: Case) -> Steps:
    """Make a step of a jitted `lax.scan` for each layer, with hoisted input projections."""
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

    compiled = jax.jit(last_output)
    return Steps(
        (lambda: float(np.asarray(compiled(weights, inputs))[0, 0])) if case.inference else jax_update(loss_of, weights)
    )


def _jax_layer(jax, case, layer, sequence):
    """Return the last output, and all outputs, (time, batch, units)."""

    def advance(states, projected):
        recurrent = states[0] @ layer["recurrent"] + layer["bias"][1]
        states = _jax_cell(jax, case.cell, projected, recurrent, states)
        return states, states[0]

    projected = sequence @ layer["kernel"] + layer["bias"][0]
    zeros = jax.numpy.zeros((case.batch, case.units))
    (last, *_), sequence = jax.lax.scan(advance, (zeros,) * (2 if case.cell == "lstm" else 1), projected)
    return last, sequence


def _jax_cell(jax, cell, projected, recurrent, states):
    """Compute the new states from x W + b and h U + b."""
    jnp, sigmoid = jax.numpy, jax.nn.sigmoid
    if cell == "simple_rnn":
        return (jnp.tanh(projected + recurrent),)
    if cell == "gru":
        (x_z, x_r, x_n), (h_z, h_r, h_n) = (jnp.split(gates, 3, axis=-1) for gates in (projected, recurrent))
        z, n = sigmoid(x_z + h_z), jnp.tanh(x_n + sigmoid(x_r + h_r) * h_n)
        return (z * states[0] + (1 - z) * n,)
    i, f, g, o = jnp.split(projected + recurrent, 4, axis=-1)
    c = sigmoid(f) * states[1] + sigmoid(i) * jnp.tanh(g)
    return sigmoid(o) * jnp.tanh(c), c
