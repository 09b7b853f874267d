"""Cells that TFLite has no operation for: a loop, or for int8 unrolled."""

import numpy as np
import pytest

import tfpar
from tfpar.export.conversion.interpreter import TFLiteModel


@pytest.fixture(scope="module", params=["GRU", "SimpleRNN"])
def model(request, build):
    return build(getattr(tfpar.layers, request.param), depth=1)


def predict(path, rows):
    file = TFLiteModel(path)
    return np.concatenate([file(tokens=row[None])["logits"] for row in rows])


def test_float32_loops(model, rows, tmp_path):
    report = tfpar.export.tflite(model, tmp_path / "m.tflite", calibration={"tokens": rows})
    assert "WHILE" in report["ops"]
    twice = predict(tmp_path / "m.tflite", np.concatenate([rows, rows]))
    np.testing.assert_allclose(twice, np.tile(model(rows), (2, 1)), rtol=0, atol=1e-5)


def test_int8_is_written_out(model, rows, tmp_path):
    short = rows[:, :4]
    report = tfpar.export.tflite(model, tmp_path / "m.tflite", quantize="int8", calibration={"tokens": short})
    assert not {"WHILE", "UNIDIRECTIONAL_SEQUENCE_LSTM"}.intersection(report["ops"])
    expected, found = np.asarray(model(short)), predict(tmp_path / "m.tflite", short)
    for column in range(expected.shape[1]):
        assert np.corrcoef(found[:, column], expected[:, column])[0, 1] > 0.95


def test_int8_where_all_calibration_begins_with_padding(model, rows, tmp_path):
    """Backward, the first steps are masked in every row: their matmuls see nothing but zeros."""
    padded = np.pad(rows, ((0, 0), (0, 3)))
    tfpar.export.tflite(model, tmp_path / "padded.tflite", quantize="int8", calibration={"tokens": padded})
    found, expected = predict(tmp_path / "padded.tflite", padded), np.asarray(model(padded))
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.98
