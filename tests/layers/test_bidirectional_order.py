"""A bidirectional layer reverses no tensor in training: its backward loop starts at the last step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfpar
from tfpar.layers import LSTM, Bidirectional

X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")


def test_no_reversal_is_left_in_the_graph():
    layer = Bidirectional(LSTM(4, return_sequences=True))
    layer.build(X.shape)

    @tf.function(autograph=False)
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x))
        return tape.gradient(loss, x)

    graph = gradient.get_concrete_function(tf.TensorSpec(X.shape)).graph
    assert not [op.name for op in graph.get_operations() if op.type == "ReverseV2"]


@pytest.mark.parametrize("backwards_first", [False, True])
def test_all_outputs_are_in_the_order_of_the_forward_layer(backwards_first):
    def both(module):
        ways = [
            module.LSTM(4, return_sequences=True, go_backwards=back) for back in (backwards_first, not backwards_first)
        ]
        return module.Bidirectional(ways[0], backward_layer=ways[1])

    ours, theirs = both(tfpar.layers), both(keras.layers)
    ours(X), theirs(X)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(ours(X), theirs(X), atol=1e-6)
