"""Weights go over from Keras' layers and back, under the same names, in the same order and layout."""

import keras
import numpy as np
import pytest
from running import assert_all_close
from table import ROWS, SINGLE, TIME, built, inputs

from tfpar import layers


def outputs(layer):
    result = layer(inputs())
    return result if isinstance(result, (list, tuple)) else [result]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_both_ways(row):
    theirs, ours = built(row, keras.layers), row.make(layers)
    ours.build((None, TIME, 4))
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    ours.set_weights(theirs.get_weights())
    assert_all_close(outputs(ours), outputs(theirs))
    back = row.make(keras.layers)
    back.build((None, TIME, 4))
    back.set_weights(ours.get_weights())
    assert_all_close(outputs(back), outputs(theirs), atol=0, rtol=0)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("row", SINGLE, ids=str)
def test_same_start_from_the_same_initializers(row, use_bias):
    made = []
    for module in (layers, keras.layers):
        initializers = {
            "kernel_initializer": keras.initializers.GlorotUniform(1),
            "recurrent_initializer": keras.initializers.Orthogonal(seed=2),
            "bias_initializer": keras.initializers.RandomNormal(seed=3) if row.name != "lstm" else "zeros",
        }
        layer = row.make(module, use_bias=use_bias, **initializers)
        layer.build((None, TIME, 4))
        made.append(layer.get_weights())
    assert_all_close(*made, atol=0, rtol=0)


def test_forget_gate_bias():
    for unit_forget_bias, forget in ((True, 1), (False, 0)):
        layer = layers.LSTM(2, unit_forget_bias=unit_forget_bias)
        layer.build((None, None, 4))
        np.testing.assert_array_equal(layer.get_weights()[2], [0, 0, forget, forget, 0, 0, 0, 0])


def test_regularizers_and_constraints_reach_the_weights():
    layer = layers.GRU(2, kernel_regularizer="l2", recurrent_regularizer="l1", bias_constraint="non_neg")
    layer.build((None, None, 4))
    layer.set_weights([np.ones_like(w) for w in layer.get_weights()])
    assert float(sum(layer.losses)) == pytest.approx(0.01 * 4 * 6 + 0.01 * 2 * 6)
    np.testing.assert_array_equal(layer.bias.constraint(-layer.bias.value), np.zeros((2, 6)))


def test_initial_weights_of_bidirectional():
    first = layers.Bidirectional(layers.LSTM(3))
    first.build((None, None, 4))
    second = layers.Bidirectional(layers.LSTM(3), weights=first.get_weights())
    assert_all_close([second(inputs())], [first(inputs())], atol=0, rtol=0)
