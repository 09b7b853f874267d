"""An activation's value and derivative, from what the forward pass keeps."""

import numpy as np
import pytest
import tensorflow as tf
from keras import activations

from tfpar.ops.activations import _DERIVATIVE_FROM_OUTPUT, Activation, GateActivations

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


@pytest.mark.parametrize("dtype", ["float64", "float16"])
@pytest.mark.parametrize(
    "functions",
    [(activations.sigmoid, activations.tanh), (activations.tanh, activations.gelu, activations.sigmoid)],
    ids=["as_one", "each_alone"],
)
def test_gates_side_by_side_are_what_each_is_alone(functions, dtype):
    x = tf.constant(np.stack([X + n for n in range(6)]).reshape(len(functions), -1), dtype)
    alone = [Activation(function) for function in functions]
    together = GateActivations(tuple(alone))
    kept = together.kept(tf.reshape(x, (1, -1)))
    tolerance = 1e-14 if dtype == "float64" else 4e-3
    for method in ("value", "derivative"):
        expected = [getattr(one, method)(one.kept(row)) for one, row in zip(alone, x, strict=True)]
        np.testing.assert_allclose(getattr(together, method)(kept)[0], np.concatenate(expected), atol=tolerance)
