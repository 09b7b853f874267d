"""A cell's value may go far beyond 10, where the converter would have the fused operation clip it."""

import keras
import numpy as np
import pytest

import tfpar
from tfpar.export.conversion.interpreter import TFLiteModel

UP, DOWN = 16, 12
ROWS = np.ones((8, UP + DOWN, 1), np.float32)
ROWS[::2, UP:] = -1.0  # half of them count back


def counter():
    """All gates open: c grows by tanh(10 x) a step."""
    rows = keras.Input(ROWS.shape[1:], name="rows")
    lstm = tfpar.layers.LSTM(1, name="answer")
    model = keras.Model(rows, lstm(rows))
    kernel, bias = np.array([[0.01, 0.01, 10, 0.01]]), np.array([20, 20, 0, 20])
    lstm.set_weights([kernel, np.full((1, 4), 0.01), bias])
    return model


@pytest.mark.parametrize("name", ["float32", "float16", "dynamic", "int8"])
def test_a_fused_lstm_counts_beyond_ten(name, tmp_path):
    model, path = counter(), tmp_path / "model.tflite"
    expected = model.predict(ROWS, verbose=0)
    np.testing.assert_allclose(expected, np.tanh(UP + DOWN * ROWS[:, -1:, 0]), atol=1e-3)
    report = tfpar.export.tflite(model, path, name, calibration={"rows": ROWS}, form="fused")
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in report["ops"]
    file = TFLiteModel(path)
    found = np.concatenate([file(rows=row[None])["answer"] for row in ROWS])
    # Clipped at 10 it would come back to -2.
    np.testing.assert_allclose(found, expected, atol=0.05 if name == "int8" else 1e-3)


def test_it_does_in_tflite_micro(tmp_path):
    report = tfpar.export.tflite(
        counter(), tmp_path / "model.tflite", "int8", calibration={"rows": ROWS}, target="micro"
    )
    assert report["form"] == "fused" and report["micro_max_abs_error"] < 0.05
