"""Runs a layer forward and backward, and compares what comes out."""

import keras
import numpy as np
import tensorflow as tf

WAYS = {
    "eager": lambda function: function,
    "graph": lambda function: tf.function(function, autograph=False),
    "xla": lambda function: tf.function(function, autograph=False, jit_compile=True),
}


def forward_and_gradients(layer, x, way="eager", initial_state=None, **arguments):
    """Outputs of a layer, and the gradients of a fixed weighted sum of them.

    Args:
        layer: built.
        x: its input.
        way: key of `WAYS`.
        initial_state: list of arrays, or None.
        **arguments: more arguments of the call.

    Returns:
        List of outputs, and list of gradients by `x`, the initial states and each trainable weight; arrays.
    """

    def function(x, *states):
        with tf.GradientTape() as tape:
            tape.watch([x, *states])
            given = {"initial_state": list(states)} if states else {}
            outputs = tf.nest.flatten(layer(x, **given, **arguments))
            loss = sum(tf.reduce_sum(tf.cast(o, tf.float32) * _coefficients(o)) for o in outputs)
        sources = [x, *states, *(w.value for w in layer.trainable_weights)]
        return outputs, tape.gradient(loss, sources)

    tensors = [tf.constant(a) for a in (x, *(initial_state or ()))]
    outputs, gradients = WAYS[way](function)(*tensors)
    return [keras.ops.convert_to_numpy(o) for o in outputs], [np.asarray(g, "float32") for g in gradients]


def _coefficients(output):
    """As many different numbers as the output has, so that no two outputs may change places."""
    return tf.reshape(tf.cos(tf.range(tf.cast(tf.size(output), tf.float32))), tf.shape(output))


def assert_all_close(ours, theirs, **tolerance):
    """Two lists of arrays agree in number, shape and value."""
    assert [np.shape(a) for a in ours] == [np.shape(a) for a in theirs]
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, **{"atol": 1e-5, "rtol": 1e-5, **tolerance})
