"""`Bidirectional` around stock Keras recurrent layers."""

import keras
import numpy as np
import pytest

from tfpar import layers

SEQUENCES = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
MASK = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 0, 1], [1] * 5], bool)
STOCK = {
    "lstm": lambda **options: keras.layers.LSTM(2, **options),
    "gru": lambda **options: keras.layers.GRU(2, reset_after=False, use_bias=False, **options),
    "simple_rnn": lambda **options: keras.layers.SimpleRNN(2, activation="relu", **options),
}


def assert_equal(layer, expected):
    outputs, wanted = (keras.tree.flatten(each(SEQUENCES, mask=MASK)) for each in (layer, expected))
    for output, value in zip(outputs, wanted, strict=True):
        np.testing.assert_allclose(output, value, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"return_sequences": True, "return_state": True}], ids=["last", "all"])
@pytest.mark.parametrize("cell", STOCK)
def test_equals_keras(cell, options):
    expected = keras.layers.Bidirectional(STOCK[cell](**options), merge_mode="sum")
    layer = layers.Bidirectional(STOCK[cell](**options), merge_mode="sum")
    assert isinstance(layer.forward_layer, layers.RecurrentLayer)
    for built in (layer, expected):
        built.build(SEQUENCES.shape)
    layer.set_weights(expected.get_weights())
    assert_equal(layer, expected)


def test_a_built_backward_layer_keeps_its_variables():
    backward = keras.layers.LSTM(2, go_backwards=True)
    backward.build(SEQUENCES.shape)
    layer = layers.Bidirectional(keras.layers.LSTM(2), backward_layer=backward)
    layer.build(SEQUENCES.shape)
    assert layer.backward_layer.kernel is backward.cell.kernel


def test_its_configuration_is_saved():
    layer = layers.Bidirectional(keras.layers.GRU(2, recurrent_activation="hard_sigmoid"))
    again = layers.Bidirectional.from_config(layer.get_config())
    assert again.forward_layer.recurrent_activation is keras.activations.hard_sigmoid


def test_a_subclass_of_a_stock_layer_is_refused():
    class Other(keras.layers.LSTM):
        pass

    with pytest.raises(ValueError, match="keras.layers.LSTM, GRU or SimpleRNN"):
        layers.Bidirectional(Other(2))
