"""An activation's value and derivative, from the residual of the forward pass."""

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
    residual = activation.residual(x)
    tolerance = 1e-6 if dtype == "float32" else 4e-3
    np.testing.assert_allclose(activation.value(residual), y, atol=tolerance)
    assert activation.derivative(residual).dtype == x.dtype
    np.testing.assert_allclose(activation.derivative(residual), tape.gradient(y, x), atol=tolerance)


@pytest.mark.parametrize("function", _DERIVATIVE_FROM_OUTPUT, ids=lambda f: f.__name__)
def test_a_known_activation_saves_its_output(function):
    np.testing.assert_allclose(Activation(function).residual(tf.constant(X)), function(tf.constant(X)))


def test_another_activation_saves_its_input():
    np.testing.assert_array_equal(Activation(activations.gelu).residual(tf.constant(X)), X)


@pytest.mark.parametrize("dtype", ["float64", "float16"])
@pytest.mark.parametrize(
    "functions",
    [(activations.sigmoid, activations.tanh), (activations.tanh, activations.gelu, activations.sigmoid)],
    ids=["one_operation", "gate_by_gate"],
)
def test_concatenated_gates_equal_single_gates(functions, dtype):
    x = tf.constant(np.stack([X + n for n in range(6)]).reshape(len(functions), -1), dtype)
    alone = [Activation(function) for function in functions]
    together = GateActivations(tuple(alone))
    residual = together.residual(tf.reshape(x, (1, -1)))
    tolerance = 1e-14 if dtype == "float64" else 4e-3
    for method in ("value", "derivative"):
        expected = [getattr(one, method)(one.residual(row)) for one, row in zip(alone, x, strict=True)]
        np.testing.assert_allclose(getattr(together, method)(residual)[0], np.concatenate(expected), atol=tolerance)
