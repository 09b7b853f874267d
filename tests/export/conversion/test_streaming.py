"""The signature `step`: steps of a sequence give the outputs of the whole sequence."""

import keras
import numpy as np
import pytest

import tfpar
from tfpar.errors import UserError

LENGTH, FEATURES = 9, 5
ROWS = np.random.default_rng(0).normal(size=(8, LENGTH, FEATURES)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, FEATURES), name="x")
    x = tfpar.layers.LSTM(6, return_sequences=True, name="first")(inputs)
    x = keras.layers.Dense(4, activation="relu")(x)
    x = tfpar.layers.GRU(3, return_sequences=True, name="second")(x)
    return keras.Model(inputs, keras.layers.Dense(2, name="y")(x))


@pytest.mark.parametrize("quantize, atol", [("float32", 1e-6), ("dynamic", 0.02), ("int8", 0.05)])
def test_steps_equal_the_whole(model, tmp_path, quantize, atol):
    path = tmp_path / "model.tflite"
    report = tfpar.export.tflite(model, path, quantize=quantize, calibration={"x": ROWS}, streaming=True)
    assert report["signatures"] == ["serving_default", "step"]
    step = tfpar.export.TFLiteModel(path, "step")
    assert step.inputs["x"][0] == (1, 1, FEATURES)
    states = {name: np.zeros(shape, dtype) for name, (shape, dtype) in step.inputs.items() if name != "x"}
    assert {name: state.shape for name, state in states.items()} == {
        "first_h": (1, 6),
        "first_c": (1, 6),
        "second_h": (1, 3),
    }
    outputs = []
    for t in range(LENGTH):
        found = step(x=ROWS[:1, t : t + 1], **states)
        states = {name: found[name] for name in states}
        outputs.append(found["y"][:, 0])
    np.testing.assert_allclose(np.stack(outputs, 1), model.predict(ROWS[:1], verbose=0), atol=atol)


def test_a_step_has_no_loop(model, tmp_path):
    path = tmp_path / "model.tflite"
    tfpar.export.tflite(model, path, calibration={"x": ROWS}, streaming=True, form="unrolled")
    assert "WHILE" not in tfpar.export.TFLiteModel(path, "step").operations


def test_a_whole_call_begins_in_zero_states_whatever_a_stream_did(model, tmp_path):
    path = tmp_path / "model.tflite"
    tfpar.export.tflite(model, path, calibration={"x": ROWS}, streaming=True)
    whole = tfpar.export.TFLiteModel(path)
    first = whole(x=ROWS[:1])["y"]
    np.testing.assert_array_equal(whole(x=ROWS[:1])["y"], first)


def test_layers_that_run_backward_cannot_be_streamed(tmp_path):
    inputs = keras.Input((None, FEATURES), name="x")
    backward = keras.Model(inputs, tfpar.layers.Bidirectional(tfpar.layers.LSTM(2))(inputs))
    pooled = keras.Model(inputs, keras.layers.GlobalMaxPooling1D()(inputs))
    for model, reason in ((backward, "runs backward"), (pooled, "has no recurrent layer")):
        with pytest.raises(UserError, match=reason):
            tfpar.export.tflite(model, tmp_path / "model.tflite", streaming=True)
    assert not list(tmp_path.iterdir())


def test_a_model_that_pools_over_time_is_refused_since_its_steps_differ(tmp_path):
    inputs = keras.Input((None, FEATURES), name="x")
    x = tfpar.layers.LSTM(2, return_sequences=True)(inputs)
    model = keras.Model(inputs, keras.layers.GlobalMaxPooling1D()(x))
    with pytest.raises(UserError, match="differs from Keras"):
        tfpar.export.tflite(model, tmp_path / "model.tflite", streaming=True)
