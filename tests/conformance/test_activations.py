"""Whatever the activation, gradients are Keras'; also where the derivative is not in the table of known ones."""

import keras
import pytest
import tensorflow as tf
from running import assert_all_close, forward_and_gradients
from table import MASKS, SINGLE, built, inputs

from tfpar import layers

KNOWN = ["tanh", "sigmoid", "linear", "relu", "hard_sigmoid", "softsign"]
UNKNOWN = ["swish", "gelu", "elu", "softplus", "mish", "leaky_relu"]


def assert_as_keras(row, way="eager", **arguments):
    x, mask = inputs(), MASKS["masked"]
    ours, our_gradients = forward_and_gradients(built(row, layers, **arguments), x, way, mask=mask)
    theirs, their_gradients = forward_and_gradients(built(row, keras.layers, **arguments), x, mask=mask)
    assert_all_close(ours, theirs)
    assert_all_close(our_gradients, their_gradients)


@pytest.mark.parametrize("activation", KNOWN + UNKNOWN)
@pytest.mark.parametrize("row", [SINGLE[0], SINGLE[1]], ids=str)
def test_of_the_output(row, activation):
    assert_as_keras(row, activation=activation)


@pytest.mark.parametrize("activation", ["hard_sigmoid", "swish"])
@pytest.mark.parametrize("row", SINGLE[1:], ids=str)
def test_of_the_gates(row, activation):
    assert_as_keras(row, activation="elu", recurrent_activation=activation)


def test_a_function_of_one_s_own_under_xla():
    def cube(x):
        return tf.sin(x) ** 3

    assert_as_keras(SINGLE[2], "xla", activation=cube)


def test_none_is_linear():
    assert_as_keras(SINGLE[0], activation=None)
