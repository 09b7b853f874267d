"""Errors of invalid arguments name the argument, the expected value and the received one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from table import SINGLE, inputs

from tfpar import layers

REFUSED = [
    ({"units": 0}, r"argument `units`, expected a positive integer. Received: units=0"),
    ({"units": -3}, r"`units`, expected a positive integer. Received: units=-3"),
    ({"units": 2.5}, r"`units`, expected a positive integer. Received: units=2.5"),
    ({"units": True}, r"`units`, expected a positive integer. Received: units=True"),
    ({"units": 3, "dropout": 1.0}, r"argument `dropout`, expected a number in \[0, 1\). Received: dropout=1.0"),
    ({"units": 3, "dropout": "no"}, r"argument `dropout`, expected a number in \[0, 1\). Received: dropout='no'"),
    ({"units": 3, "recurrent_dropout": -0.1}, r"`recurrent_dropout`.*Received: recurrent_dropout=-0.1"),
    ({"units": 3, "implementation": 3}, r"`implementation`, expected one of \(0, 1, 2\). Received: implementation=3"),
    ({"units": 3, "activation": "nonsense"}, "nonsense"),
]


@pytest.mark.parametrize("layer", [layers.SimpleRNN, layers.LSTM, layers.GRU])
@pytest.mark.parametrize("arguments, message", REFUSED, ids=str)
def test_construction(layer, arguments, message):
    with pytest.raises(ValueError, match=message):
        layer(**arguments)


@pytest.mark.parametrize("layer", [layers.LSTM, layers.GRU])
def test_cudnn(layer):
    with pytest.raises(ValueError, match=r"`use_cudnn`, expected one of \('auto', True, False\)"):
        layer(3, use_cudnn="yes")
    refused = "use_cudnn=True was specified, but cuDNN is not supported here: the device is a CPU.*use_cudnn='auto'"
    with tf.device("/CPU:0"), pytest.raises(ValueError, match=refused):
        layer(3, use_cudnn=True)(inputs())
    layer(3, use_cudnn=False)(inputs())


@pytest.mark.parametrize("row", SINGLE, ids=str)
def test_number_of_initial_states(row):
    layer = row.make(layers)
    layer.build((None, None, 4))
    wrong = [np.zeros((4, 3), "float32")] * (row.states + 1)
    with pytest.raises(ValueError, match=rf"`initial_state` must hold {row.states} tensor\(s\).*got {row.states + 1}"):
        layer(inputs(), initial_state=wrong)


def test_unrolling_an_unknown_number_of_steps():
    layer = layers.LSTM(3, unroll=True)
    layer.build((None, None, 4))
    function = tf.function(layer, autograph=False)
    with pytest.raises(ValueError, match=r"Cannot unroll: unroll=True needs a static.*has shape \(None, None, 4\)"):
        function.get_concrete_function(tf.TensorSpec((None, None, 4)))


def test_input_of_another_rank():
    with pytest.raises(ValueError, match="expected ndim=3, found ndim=2"):
        layers.LSTM(3)(np.zeros((2, 4), "float32"))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: layers.Bidirectional(keras.layers.Dense(3)), "with a `layer` that is a recurrent layer of tfpar"),
        (lambda: layers.Bidirectional("lstm"), "For another layer use keras.layers.Bidirectional. Received: 'lstm'"),
        (
            lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=keras.layers.Dense(3)),
            "with a `backward_layer` that is a recurrent layer of tfpar",
        ),
        (lambda: layers.Bidirectional(layers.LSTM(3), merge_mode="max"), "`merge_mode`, expected one of"),
        (
            lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3)),
            "should have different `go_backwards` value. Received: go_backwards=False",
        ),
        (
            lambda: layers.Bidirectional(
                layers.LSTM(3, return_sequences=True), backward_layer=layers.LSTM(3, go_backwards=True)
            ),
            'same value for attribute "return_sequences", got "True" for forward layer and "False"',
        ),
    ],
)
def test_bidirectional(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_resetting_what_has_no_state():
    with pytest.raises(AttributeError, match="must be stateful"):
        layers.Bidirectional(layers.LSTM(3)).reset_state()
