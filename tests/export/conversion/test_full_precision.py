"""A model that was trained in mixed precision is exported in float32."""

import keras
import numpy as np
import pytest

import tfpar
from tfpar.export.conversion.serving import ServingModel

X = np.random.default_rng(0).normal(size=(8, 6, 4)).astype("float32")


def mixed(policy, cell):
    inputs = keras.Input((6, 4), name="x")
    x = tfpar.layers.Bidirectional(cell(5, return_sequences=True, dtype=policy), dtype=policy)(inputs)
    x = tfpar.layers.MaxPooling(dtype=policy)(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="y", dtype=policy)(x))


@pytest.mark.parametrize("form", ["fused", "loop"])
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("cell", [tfpar.layers.LSTM, tfpar.layers.GRU])
def test_a_file_computes_in_float32(policy, cell, form, tmp_path):
    model, full = mixed(policy, cell), mixed("float32", cell)
    full.set_weights(model.get_weights())
    report = tfpar.export.tflite(model, tmp_path / "model.tflite", form=form, calibration={"x": X})
    assert report["max_abs_error"] < 1e-6
    file = tfpar.export.TFLiteModel(tmp_path / "model.tflite")
    outputs = np.concatenate([file(x=row[None])["y"] for row in X])
    np.testing.assert_allclose(outputs, full.predict(X, verbose=0), atol=1e-6)
    assert model(X).dtype == policy.removeprefix("mixed_")  # as it was


def test_policies_come_back_after_a_failure():
    model = mixed("mixed_bfloat16", tfpar.layers.GRU)
    with pytest.raises(KeyError), ServingModel(model).cast_to_float32():
        assert {layer.compute_dtype for layer in model.layers} == {"float32"}
        raise KeyError
    assert {layer.compute_dtype for layer in model.layers[1:]} == {"bfloat16"}
