"""The example of docs/new_cell.md: a cell without a gradient of its own."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from oracles import sigmoid
from running import assert_all_close, forward_and_gradients

import tfpar

GUIDE = Path(__file__).parents[2] / "docs" / "new_cell.md"
SEQUENCES = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
MASK = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 0, 1], [1] * 5], bool)


@pytest.fixture(scope="module")
def peephole_lstm():
    names = {}
    exec(re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.S)[1], names)
    return names["PeepholeLSTM"]


def make(layer_class, **options):
    keras.utils.set_random_seed(0)
    layer = layer_class(2, bias_initializer="uniform", **options)
    layer.build(SEQUENCES.shape)
    return layer


def expected_outputs(kernel, recurrent_kernel, bias, peephole):
    h = c = np.zeros((len(SEQUENCES), 2))
    outputs = []
    for x in SEQUENCES.swapaxes(0, 1):
        i, f, g, o = np.split(x @ kernel + h @ recurrent_kernel + bias, 4, axis=-1)
        c = sigmoid(f + peephole[1] * c) * c + sigmoid(i + peephole[0] * c) * np.tanh(g)
        h = sigmoid(o + peephole[2] * c) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("way", ["eager", "xla"])
def test_equals_its_equations(peephole_lstm, way):
    layer = make(peephole_lstm, return_sequences=True)
    (outputs,), gradients = forward_and_gradients(layer, SEQUENCES, way)
    np.testing.assert_allclose(outputs, expected_outputs(*layer.get_weights()), atol=1e-6)
    assert len(gradients) == 5 and all(np.abs(gradient).max() > 0 for gradient in gradients)


@pytest.mark.parametrize("options", [{}, {"go_backwards": True, "return_sequences": True}], ids=["last", "backward"])
@pytest.mark.parametrize("way", ["eager", "xla"])
def test_without_peepholes_it_is_an_lstm(peephole_lstm, way, options):
    layer, lstm = make(peephole_lstm, **options), make(tfpar.layers.LSTM, **options)
    layer.peephole.assign(np.zeros((3, 2)))
    lstm.set_weights(layer.get_weights()[:3])
    outputs, gradients = forward_and_gradients(layer, SEQUENCES, way, mask=tf.constant(MASK))
    expected, expected_gradients = forward_and_gradients(lstm, SEQUENCES, way, mask=tf.constant(MASK))
    assert_all_close(outputs, expected, atol=1e-6)
    assert_all_close(gradients[:4], expected_gradients, atol=1e-5)


def test_saving_and_export(peephole_lstm, tmp_path):
    inputs = keras.Input((5, 4), name="x")
    model = keras.Model(inputs, tfpar.layers.Bidirectional(peephole_lstm(2, recurrent_dropout=0.5))(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(SEQUENCES), model(SEQUENCES), atol=1e-6)
    assert tfpar.export.tflite(model, tmp_path / "model.tflite")["max_abs_error"] < 1e-5
