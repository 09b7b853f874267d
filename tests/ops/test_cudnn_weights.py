"""The weights handed to cuDNN, decoded by NVIDIA's description of its buffer. cuDNN itself does not run here."""

import cudnn_equations
import numpy as np
import pytest
import tensorflow as tf
from running import assert_all_close
from table import FEATURES, UNITS, inputs, states

from tfpar import layers
from tfpar.ops.cudnn import pack_weights
from tfpar.ops.recurrence import RecurrentWeights

LAYERS = {"lstm": layers.LSTM, "gru": layers.GRU}
STATES = {"lstm": 2, "gru": 1}


def random_layer(mode, **arguments):
    layer = LAYERS[mode](UNITS, return_sequences=True, return_state=True, use_cudnn=False, **arguments)
    layer.build((None, None, FEATURES))
    generator = np.random.default_rng(2)
    layer.set_weights([generator.normal(0, 0.5, w.shape) for w in layer.weights])
    return layer


def packed_weights(layer):
    bias, recurrent_bias = layer._biases()
    kernels = tf.convert_to_tensor(layer.kernel), tf.convert_to_tensor(layer.recurrent_kernel)
    return pack_weights(layer.recurrence, kernels[0], bias, RecurrentWeights(kernels[1], recurrent_bias))


@pytest.mark.parametrize("use_bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("mode", ["lstm", "gru"])
def test_cudnns_documented_equations_on_the_packed_weights_give_what_the_loop_gives(mode, use_bias):
    layer = random_layer(mode, use_bias=use_bias)
    weights = cudnn_equations.unpack(mode, packed_weights(layer).numpy(), FEATURES, UNITS)
    x, initial = inputs(), states(STATES[mode])
    at, sequence = initial, []
    for t in range(x.shape[1]):
        at = cudnn_equations.step(mode, x[:, t], at, weights)
        sequence.append(at[0])
    assert_all_close([np.stack(sequence, axis=1), *at], layer(x, initial_state=initial), atol=1e-6)


def test_the_places_of_an_lstms_weights():
    layer = random_layer("lstm")
    kernel, recurrent_kernel, bias = layer.get_weights()
    W, R, b_W, b_R = cudnn_equations.unpack("lstm", packed_weights(layer).numpy(), FEATURES, UNITS)
    for gate, place in enumerate(np.split(np.arange(4 * UNITS), 4)):
        np.testing.assert_array_equal(W[gate], kernel[:, place].T)
        np.testing.assert_array_equal(R[gate], recurrent_kernel[:, place].T)
        np.testing.assert_array_equal(b_W[gate], bias[place])
        np.testing.assert_array_equal(b_R[gate], 0)


def test_the_places_of_a_grus_weights():
    """cuDNN's first gate is the reset gate, Keras' the update gate."""
    layer = random_layer("gru")
    kernel, recurrent_kernel, (bias, recurrent_bias) = layer.get_weights()
    W, R, b_W, b_R = cudnn_equations.unpack("gru", packed_weights(layer).numpy(), FEATURES, UNITS)
    update, reset, new = np.split(np.arange(3 * UNITS), 3)
    for gate, place in enumerate((reset, update, new)):
        np.testing.assert_array_equal(W[gate], kernel[:, place].T)
        np.testing.assert_array_equal(R[gate], recurrent_kernel[:, place].T)
        np.testing.assert_array_equal(b_W[gate], bias[place])
        np.testing.assert_array_equal(b_R[gate], recurrent_bias[place])
