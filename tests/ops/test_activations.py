"""An activation's value and derivative, from what the forward pass keeps."""

import numpy as np
import pytest
import tensorflow as tf
from keras import activations

from tfpar.ops.activations import _DERIVATIVE_FROM_OUTPUT, Activation

X = np.linspace(-4.1, 4.3, 40, dtype="float32")


@pytest.mark.parametrize("function", [*_DERIVATIVE_FROM_OUTPUT, activations.gelu, tf.sin], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_value_and_derivative(function, dtype):
    x = tf.constant(X, dtype)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    activation = Activation(function)
    kept = activation.kept(x)
    tolerance = 1e-6 if dtype == "float32" else 4e-3
    np.testing.assert_allclose(activation.value(kept), y, atol=tolerance)
    assert activation.derivative(kept).dtype == x.dtype
    np.testing.assert_allclose(activation.derivative(kept), tape.gradient(y, x), atol=tolerance)


@pytest.mark.parametrize("function", _DERIVATIVE_FROM_OUTPUT, ids=lambda f: f.__name__)
def test_a_known_activation_keeps_its_output(function):
    np.testing.assert_allclose(Activation(function).kept(tf.constant(X)), function(tf.constant(X)))


def test_another_keeps_its_input():
    np.testing.assert_array_equal(Activation(activations.gelu).kept(tf.constant(X)), X)
