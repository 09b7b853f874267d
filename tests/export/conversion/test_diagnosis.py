"""The error for a file that is not written names the cause and a remedy in one sentence."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfpar
from tfpar.errors import UserError

K = keras.layers
ROWS = np.random.default_rng(0).normal(size=(8, 5, 3)).astype(np.float32)


def regression(*layers):
    inputs = x = keras.Input((5, 3), name="x")
    for layer in layers or (K.LSTM(4), K.Dense(1)):
        x = layer(x)
    return keras.Model(inputs, x)


def refused(model, tmp_path, **options):
    with pytest.raises(UserError) as caught:
        tfpar.export.tflite(model, tmp_path / "m.tflite", **options)
    assert not list(tmp_path.iterdir()) and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("scale", [1e-4, 300.0, 1e4])
def test_tolerances_are_relative_to_the_outputs(scale, tmp_path):
    model = regression(K.LSTM(4), K.Rescaling(scale))
    assert tfpar.export.tflite(model, tmp_path / "m.tflite")["max_abs_error"] <= 1e-5 * scale
    assert tfpar.export.tflite(model, tmp_path / "m.tflite", quantize="float16")["max_abs_error"] <= 1e-2 * scale


def test_weights_that_diverged(tmp_path):
    model = regression()
    model.layers[-1].bias.assign([np.nan])
    assert "dense" in (message := refused(model, tmp_path)) and "hold NaN or infinity: training diverged" in message


def test_calibration_that_is_no_number(tmp_path):
    rows = ROWS.copy()
    rows[3, 1] = np.nan
    assert "`calibration` holds NaN or infinity in 'x' (row 3)" in refused(regression(), tmp_path, calibration=rows)


def test_a_random_model(tmp_path):
    class Noise(K.Layer):
        def call(self, x):
            return x + keras.random.normal(keras.ops.shape(x))

    assert "is random, it changes from call to call" in refused(regression(K.LSTM(4), Noise()), tmp_path)


def test_a_layer_that_sees_several_steps(tmp_path):
    message = refused(regression(K.Conv1D(4, 3, padding="same", name="filters"), K.LSTM(4)), tmp_path, streaming=True)
    assert "the layer 'filters' sees later steps" in message and "padding='causal'" in message
    message = refused(regression(K.LSTM(4, return_sequences=True), K.Flatten(), K.Dense(1)), tmp_path, streaming=True)
    assert "cannot be streamed: its layer 'flatten" in message


def test_a_stateful_model_is_streamed_or_refused(tmp_path):
    inputs = keras.Input(batch_shape=(1, 5, 3), name="x")
    model = keras.Model(inputs, K.LSTM(4, stateful=True, name="memory")(inputs))
    assert "'memory' is stateful" in (message := refused(model, tmp_path)) and "streaming=True" in message
    with pytest.raises(UserError, match="'memory' is stateful"):
        tfpar.export.saved_model(model, tmp_path / "saved_model")
    model(ROWS[:1])
    carried = model.layers[-1].states[0].numpy()
    report = tfpar.export.tflite(model, tmp_path / "m.tflite", streaming=True)
    assert report["signatures"] == ["serving_default", "step"] and report["max_abs_error"] < 1e-6
    np.testing.assert_array_equal(model.layers[-1].states[0], carried)


def test_text_goes_into_a_saved_model_alone(tmp_path):
    vectorization = K.TextVectorization(output_sequence_length=4)
    vectorization.adapt(["a good film", "a bad film"])
    texts = keras.Input((), dtype="string", name="text")
    model = keras.Model(texts, K.LSTM(3)(K.Embedding(9, 2, mask_zero=True)(vectorization(texts))))
    assert "'text' is text, which TFLite's builtin operations do not support" in refused(model, tmp_path)
    tfpar.export.saved_model(model, tmp_path / "m")
    serve = tf.saved_model.load(str(tmp_path / "m")).signatures["serving_default"]
    rows = tf.constant(["a bad film", "film"])
    (found,) = serve(text=rows).values()
    np.testing.assert_allclose(found, model(rows), atol=1e-6)


CALIBRATIONS = {
    "generator function": lambda: ([row[None]] for row in ROWS),
    "generator of dicts": lambda: ({"x": row[None]} for row in ROWS),
    "list of rows": list(ROWS),
    "unbatched dataset": tf.data.Dataset.from_tensor_slices(ROWS),
    "unbatched dataset with labels": tf.data.Dataset.from_tensor_slices((ROWS, np.ones(8))),
    "dataset": tf.data.Dataset.from_tensor_slices(ROWS).batch(3),
}


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_calibration_takes_the_forms_that_tflite_takes(name):
    samples = tfpar.export.conversion.samples.sample_inputs(regression(), CALIBRATIONS[name])
    np.testing.assert_array_equal(samples["x"], ROWS)


def test_an_iterator_is_refused_since_it_is_read_once():
    with pytest.raises(UserError, match="is an iterator, which can be read once. Give the function that makes it"):
        tfpar.export.conversion.samples.sample_inputs(regression(), iter(ROWS))
