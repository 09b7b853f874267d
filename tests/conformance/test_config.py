"""Layers survive a round trip through their configuration."""

import keras
import pytest
from running import assert_all_close
from table import MASKS, ROWS, SINGLE, built, inputs

from tfpar import layers

UNUSUAL = dict(
    name="unusual",
    activation="relu",
    use_bias=False,
    kernel_initializer="he_normal",
    recurrent_initializer="zeros",
    bias_initializer="ones",
    kernel_regularizer="l2",
    recurrent_regularizer="l1",
    bias_regularizer="l2",
    activity_regularizer="l1",
    kernel_constraint="non_neg",
    recurrent_constraint="max_norm",
    bias_constraint="unit_norm",
    dropout=0.1,
    recurrent_dropout=0.2,
    seed=7,
    return_sequences=True,
    return_state=True,
    go_backwards=True,
    stateful=True,
    unroll=True,
    zero_output_for_mask=True,
)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_round_trip(row):
    layer = built(row, layers)
    again = type(layer).from_config(layer.get_config())
    again.build((4, 5, 4))
    again.set_weights(layer.get_weights())
    outputs = [one(inputs(), mask=MASKS["masked"]) for one in (layer, again)]
    first, second = (o if isinstance(o, tuple) else (o,) for o in outputs)
    assert_all_close(first, second, atol=0, rtol=0)


@pytest.mark.parametrize("row", SINGLE, ids=str)
def test_no_argument_is_forgotten(row):
    layer = row.make(layers, **UNUSUAL)
    config = layer.get_config()
    assert type(layer).from_config(config).get_config() == config
    plain = row.make(layers).get_config()
    assert {name for name in UNUSUAL if config[name] == plain[name]} == set()


@pytest.mark.parametrize("row", SINGLE, ids=str)
def test_reads_the_configuration_of_keras_layer(row):
    """So that a model's configuration changes hands by changing the class."""
    theirs = row.make(keras.layers, **UNUSUAL).get_config()
    ours = type(row.make(layers)).from_config(theirs).get_config()
    known = set(UNUSUAL) & set(theirs)
    assert len(known) >= len(UNUSUAL) - 1  # Keras' SimpleRNN forgets its seed.
    assert {name: ours[name] for name in known} == {name: theirs[name] for name in known}


def test_bidirectional_keeps_its_backward_layer():
    backward = layers.GRU(5, go_backwards=True, name="mine")
    again = layers.Bidirectional.from_config(layers.Bidirectional(layers.LSTM(3), backward_layer=backward).get_config())
    assert (type(again.backward_layer), again.backward_layer.units, again.backward_layer.name) == (
        layers.GRU,
        5,
        "mine",
    )
    assert (type(again.forward_layer), again.forward_layer.units) == (layers.LSTM, 3)
