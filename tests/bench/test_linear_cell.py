"""The cell without functions does the matmuls of a cell with as many gates, and its gradient is right."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpar.bench.linear_cell import LinearRecurrent


@pytest.mark.parametrize("gates", [1, 3, 4])
def test_linear_cell_against_automatic_differentiation(gates):
    layer = LinearRecurrent(3, gates, bias_initializer="ones", return_sequences=True)
    sequences = tf.random.stateless_normal([2, 5, 4], [0, 1])

    def by_equation():
        h, outputs = tf.zeros([2, 3]), []
        for t in range(5):
            z = sequences[:, t] @ layer.kernel + h @ layer.recurrent_kernel + layer.bias
            h = tf.reduce_mean(tf.reshape(z, [2, gates, 3]), 1)
            outputs.append(h)
        return tf.stack(outputs, 1)

    def gradients_of(function):
        with tf.GradientTape() as tape:
            outputs = function()
            loss = tf.reduce_sum(outputs * tf.cast(tf.reshape(tf.range(30), [2, 5, 3]), tf.float32))
        return outputs, *tape.gradient(loss, [weight.value for weight in layer.weights])

    layer(sequences)
    assert layer.kernel.shape == (4, 3 * gates)
    for ours, expected in zip(gradients_of(lambda: layer(sequences)), gradients_of(by_equation), strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(ours), expected, rtol=1e-5, atol=1e-5)
