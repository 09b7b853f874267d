"""Positional arguments and attributes of Keras' recurrent layers."""

import inspect

import keras
import numpy as np
import pytest

from tfpar import layers


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
def test_arguments_may_be_given_by_position_in_keras_order(name):
    theirs = getattr(keras.layers, name)
    parameters = [p for p in inspect.signature(theirs).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    changed = {
        "units": 4,
        "kernel_initializer": "he_normal",
        "dropout": 0.1,
        "seed": 7,
        "return_sequences": True,
        "unit_forget_bias": False,
        "reset_after": False,
        "recurrent_regularizer": "l2",
    }
    values = [changed.get(p.name, p.default) for p in parameters]
    ours = getattr(layers, name)(*values).get_config()
    expected = {key: value for key, value in theirs(*values).get_config().items() if key in ours and key != "name"}
    assert len(expected) > 15
    assert {key: ours[key] for key in expected} == expected
    with pytest.raises(TypeError, match="positional arguments but"):
        getattr(layers, name)(*values, 1)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
def test_every_argument_is_in_the_signature_and_in_the_docstring(name):
    ours, theirs = (list(inspect.signature(getattr(module, name)).parameters) for module in (layers, keras.layers))
    assert ours == theirs
    text = getattr(layers, name).__doc__
    assert [argument for argument in ours if f"        {argument}: " not in text] == ["kwargs"]


def test_initial_states_are_zeros():
    for name, count in (("LSTM", 2), ("GRU", 1), ("SimpleRNN", 1)):
        states = getattr(layers, name)(4).get_initial_state(batch_size=2)
        assert [s.shape for s in states] == [(2, 4)] * count
        assert not any(np.any(s) for s in states)


def test_layers_are_recurrent_layers_of_keras():
    assert all(isinstance(layer, keras.layers.RNN) for layer in (layers.LSTM(4), layers.GRU(4), layers.SimpleRNN(4)))
    inherited = {name for name in vars(keras.layers.RNN) if not name.startswith("_")} - set(vars(layers.RecurrentLayer))
    assert inherited == {"inner_loop"}, "called by nothing else than the overridden `call`"


def test_a_cell_has_the_weights():
    layer = layers.LSTM(4)
    layer(np.ones((2, 5, 3), "float32"))
    assert [layer.cell.kernel, layer.cell.recurrent_kernel, layer.cell.bias] == layer.weights


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
def test_single_rows_of_several_lengths(name):
    """Keras traces anew for the second length, with one row and an unknown number of steps."""
    inputs = keras.Input((None,), dtype="int32")
    embedded = keras.layers.Embedding(9, 3, mask_zero=True)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(getattr(layers, name)(4)(embedded)))
    model.compile("sgd", "mse", jit_compile=False)
    for row in ([[5, 6]], [[5, 6, 0, 0]], [[5, 6, 0]]):
        x = np.array(row)
        np.testing.assert_allclose(model.predict(x, verbose=0), model(x), atol=1e-6)
        assert np.isfinite(model.train_on_batch(x, np.ones((1, 1))))
