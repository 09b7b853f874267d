"""The signature `step`: steps of a sequence give the outputs of the whole sequence."""

import keras
import numpy as np
import pytest
import tensorflow as tf

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


def run_stream(path, rows):
    """Return the outputs of each step of a file with one input, and the names of its states."""
    step = tfpar.export.TFLiteModel(path, "step")
    name, states = "x", {n: np.zeros(shape, dtype) for n, (shape, dtype) in step.inputs.items() if n != "x"}
    block, outputs = step.inputs[name][0][1], []
    for start in range(0, rows.shape[1], block):
        found = step(x=rows[:, start : start + block], **states)
        states = {n: found[n] for n in states}
        outputs.append(found["y"])
    return outputs, sorted(states)


def convolutions_and_lstm(inputs, last):
    x = keras.layers.Conv1D(6, 3, strides=2, padding="causal", use_bias=False, name="conv")(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    x = keras.layers.Conv1D(4, 3, padding="causal", dilation_rate=2, name="dilated")(x)
    x = tfpar.layers.MaskedConvolution(5, 2, padding="causal", name="masked.conv")(x)
    x = keras.layers.LayerNormalization()(keras.layers.AveragePooling1D(2)(x))
    x = keras.layers.LSTM(3, return_sequences=True, name="memory")(x)
    x = tfpar.layers.CausalMaxPooling(3, 1, name="pooling")(x)
    return keras.layers.GlobalAveragePooling1D(name="mean")(x) if last else x


@pytest.mark.parametrize(
    "last, quantize, atol", [(True, "float32", 1e-6), (False, "float32", 1e-6), (True, "dynamic", 0.02)]
)
def test_convolutions_and_poolings_carry_their_states(tmp_path, last, quantize, atol):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, FEATURES), name="x")
    model = keras.Model(inputs, keras.layers.Dense(2, name="y")(convolutions_and_lstm(inputs, last)))
    rows = np.random.default_rng(1).normal(size=(4, 24, FEATURES)).astype(np.float32)
    path = tmp_path / "model.tflite"
    tfpar.export.tflite(model, path, quantize=quantize, calibration={"x": rows}, streaming=True)
    assert tfpar.export.TFLiteModel(path, "step").inputs["x"][0] == (1, 4, FEATURES)
    outputs, states = run_stream(path, rows[:1])
    poolings = ["mean_count", "mean_sum"] if last else []
    assert states == [
        *("conv_history", "dilated_history", "masked_conv_history"), *poolings,
        *("memory_c", "memory_h", "pooling_history", "pooling_valid"),
    ]  # fmt: skip
    for number, output in enumerate(outputs, start=1):
        whole = model.predict(rows[:1, : 4 * number], verbose=0)
        np.testing.assert_allclose(output, whole if last else whole[:, -1:], atol=atol)


def test_a_masked_step_changes_no_state(tmp_path):
    tokens = keras.Input((None,), dtype="int32", name="x")
    x = keras.layers.Embedding(9, 4, mask_zero=True)(tokens)
    x = tfpar.layers.MaskedConvolution(4, 3, padding="causal")(x)
    pooled = [tfpar.layers.MaxPooling()(x), tfpar.layers.MeanPooling()(x), tfpar.layers.GRU(3)(x)]
    model = keras.Model(tokens, keras.layers.Concatenate(name="y")(pooled))
    rows = np.random.default_rng(0).integers(0, 9, (8, 12)).astype(np.int32)
    rows[:, 9:] = 0
    tfpar.export.tflite(model, tmp_path / "model.tflite", calibration={"x": rows}, streaming=True)
    outputs, _ = run_stream(tmp_path / "model.tflite", rows[:1])
    np.testing.assert_allclose(outputs[-1], model.predict(rows[:1], verbose=0), atol=1e-5)


@keras.saving.register_keras_serializable(package="examples")
class RunningSum(keras.layers.Layer):
    """A layer of a user: the sum of all steps so far."""

    supports_step = True
    start = 0.0

    def call(self, x):
        return tf.cumsum(x, axis=1)

    def get_initial_state(self, batch_size):
        return [tf.fill((batch_size, FEATURES), self.start)]

    def step(self, x, states):
        outputs = self(x) + states[0][:, None]
        return outputs, [outputs[:, -1]]


def summing_model():
    inputs = keras.Input((None, FEATURES), name="x")
    return keras.Model(inputs, keras.layers.Dense(2, name="y")(RunningSum(name="running")(inputs)))


def test_a_layer_of_a_user_is_called_by_its_steps(tmp_path):
    model = summing_model()
    tfpar.export.tflite(model, tmp_path / "model.tflite", calibration={"x": ROWS}, streaming=True)
    outputs, states = run_stream(tmp_path / "model.tflite", ROWS[:1])
    assert states == ["running_0"]
    np.testing.assert_allclose(np.concatenate(outputs, axis=1), model.predict(ROWS[:1], verbose=0), atol=1e-5)


def test_streams_that_are_refused(tmp_path, monkeypatch):
    inputs = keras.Input((None, FEATURES), name="x")
    lstm = tfpar.layers.LSTM(2, return_sequences=True)(inputs)
    reused = keras.layers.Conv1D(2, 3, padding="causal", name="reused")
    strided = keras.layers.Conv1D(2, 3, strides=16, padding="causal")(inputs)
    late = keras.layers.Conv1D(2, 3, padding="same", name="late")(lstm)
    tight = keras.layers.Conv1D(2, 3, 2, padding="same", name="tight")(lstm)
    monkeypatch.setattr(RunningSum, "start", 1.0)
    cases = {
        "runs backward": tfpar.layers.Bidirectional(tfpar.layers.LSTM(2))(inputs),
        "no layer with a state": keras.layers.Dense(2)(inputs),
        r"'late' sees later steps.* 1 step\(s\) late.*padding='causal'": late,
        r"'tight' cannot process a stream: .* Use padding='causal'": tight,
        "'pool' .* Use tfpar.layers.CausalMaxPooling": keras.layers.MaxPooling1D(2, padding="same", name="pool")(lstm),
        "normalizes over time": keras.layers.UnitNormalization(axis=1)(lstm),
        "called twice": reused(inputs) + reused(-inputs),
        "initial state other than zeros": RunningSum()(inputs),
        "takes 16 steps at a time": tfpar.layers.LSTM(2)(strided),
    }  # fmt: skip
    for reason, outputs in cases.items():
        model = keras.Model(inputs, outputs)
        with pytest.raises(UserError, match=reason):
            tfpar.export.tflite(model, tmp_path / "model.tflite", calibration={"x": ROWS}, streaming=True)
    assert not list(tmp_path.iterdir())


@keras.saving.register_keras_serializable(package="examples")
class Centered(keras.layers.Layer):
    """A layer that needs all steps, and does not say so."""

    def call(self, x):
        return x - tf.reduce_mean(x, axis=1, keepdims=True)


def test_a_model_that_pools_by_itself_is_refused_since_its_steps_differ(tmp_path):
    inputs = keras.Input((None, FEATURES), name="x")
    x = tfpar.layers.LSTM(2, return_sequences=True)(inputs)
    model = keras.Model(inputs, Centered(name="centered")(x))
    with pytest.raises(UserError, match="differs from Keras .* its layer 'centered' needs several steps"):
        tfpar.export.tflite(model, tmp_path / "model.tflite", streaming=True)
