"""In a TFLite file both directions run in one loop, with the outputs of two separate loops."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpar import layers
from tfpar.layers.call_context import exporting

BATCH, STEPS, FEATURES, UNITS = 3, 7, 4, 5
GENERATOR = np.random.default_rng(0)
SEQUENCES = GENERATOR.normal(size=(BATCH, STEPS, FEATURES)).astype("float32")
MASK = np.array([[1, 1, 1, 0, 0, 0, 0], [0, 0, 1, 1, 0, 1, 0], [1] * STEPS], bool)
CELLS = {
    "lstm": lambda **options: layers.LSTM(UNITS, **options),
    "gru": lambda **options: layers.GRU(UNITS, bias_initializer="uniform", **options),
    "gru, reset before": lambda **options: layers.GRU(UNITS, reset_after=False, **options),
    "rnn": lambda **options: layers.SimpleRNN(UNITS, **options),
}


def exported(layer, form="loop", **arguments):
    """Return the outputs of a layer in a file, and its number of loops."""

    @tf.function(autograph=False)
    def called(sequences):
        with exporting("tflite", form):
            return layer(sequences, **arguments)

    body = called.get_concrete_function(tf.TensorSpec(SEQUENCES.shape))
    loops = [op for op in body.graph.get_operations() if op.type in ("While", "StatelessWhile")]
    return body(tf.constant(SEQUENCES)), len(loops)


def assert_close(outputs, expected):
    for output, value in zip(tf.nest.flatten(outputs), tf.nest.flatten(expected), strict=True):
        np.testing.assert_allclose(output, value, atol=1e-6)


@pytest.mark.parametrize("mask", [None, MASK], ids=["unmasked", "masked"])
@pytest.mark.parametrize("options", [{}, {"return_sequences": True}], ids=["last", "sequence"])
@pytest.mark.parametrize("cell", CELLS)
def test_one_loop(cell, options, mask):
    layer = layers.Bidirectional(CELLS[cell](**options))
    expected = layer(SEQUENCES, mask=mask)
    outputs, loops = exported(layer, mask=mask)
    assert loops == 1
    assert_close(outputs, expected)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_states_in_and_out(cell):
    layer = layers.Bidirectional(CELLS[cell](return_state=True), merge_mode=None)
    states = [tf.constant(GENERATOR.normal(size=(BATCH, UNITS)), "float32") for _ in range(4 if cell == "lstm" else 2)]
    expected = layer(SEQUENCES, initial_state=states)
    outputs, loops = exported(layer, initial_state=states)
    assert loops == 1
    assert_close(outputs, expected)


OTHERS = {
    "activations": layers.LSTM(UNITS, recurrent_activation="hard_sigmoid", go_backwards=True),
    "units": layers.LSTM(UNITS + 1, go_backwards=True),
    "dtypes": layers.LSTM(UNITS, go_backwards=True, dtype="float64"),
    "loops": layers.LSTM(UNITS, go_backwards=True, unroll=True),
}


@pytest.mark.parametrize("what", OTHERS)
def test_layers_of_different(what):
    layer = layers.Bidirectional(layers.LSTM(UNITS), backward_layer=OTHERS[what])
    expected = layer(SEQUENCES)
    outputs, loops = exported(layer)
    assert loops == (1 if what == "loops" else 2)
    assert_close(outputs, expected)


@pytest.mark.parametrize(("form", "loops"), [("chunked", 2), ("unrolled", 0)])
def test_other_forms_do_not(form, loops):
    layer = layers.Bidirectional(layers.LSTM(UNITS))
    expected = layer(SEQUENCES)
    outputs, found = exported(layer, form)
    assert found == loops
    assert_close(outputs, expected)


def test_stateful_layers_carry_their_states():
    layer, same = (layers.Bidirectional(layers.GRU(UNITS, stateful=True)) for _ in range(2))
    inputs = keras.Input(batch_shape=SEQUENCES.shape)
    layer(inputs), same(inputs)
    same.set_weights(layer.get_weights())
    for _ in range(2):
        outputs, loops = exported(layer)
        assert loops == 1
        assert_close(outputs, same(SEQUENCES))
