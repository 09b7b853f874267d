"""Sequence lengths of an exported model's inputs."""

import numpy as np
import pytest

import tfpar
from tfpar.export.conversion.interpreter import TFLiteModel


def test_calibration_fixes_the_length(exported, rows):
    model = TFLiteModel(exported("float32").path)
    assert model.inputs == {"tokens": ((1, rows.shape[1]), np.int32)}
    assert model.outputs == {"logits": ((1, 3), np.float32)}


def test_any_length_without_calibration(classifier, rows, tmp_path):
    tfpar.export.tflite(classifier, tmp_path / "any.tflite")
    model = TFLiteModel(tmp_path / "any.tflite")
    assert model.inputs["tokens"][0] == (1, -1)
    long = np.tile(rows[7:8], (1, 5))
    for tokens in (rows[7:8, :1], rows[7:8, :3], long, rows[7:8, :3], rows[2:3]):
        np.testing.assert_allclose(model(tokens=tokens)["logits"], classifier(tokens), rtol=0, atol=1e-5)


def test_seven_steps(classifier, rows, tmp_path):
    # A clip to 0 ... 6 is what the converter takes for a ReLU6, which has no integers.
    tfpar.export.tflite(classifier, tmp_path / "seven.tflite", sequence_length=7)
    tokens = rows[4:5, :7]
    found = TFLiteModel(tmp_path / "seven.tflite")(tokens=tokens)["logits"]
    np.testing.assert_allclose(found, classifier(tokens), rtol=0, atol=1e-5)


@pytest.mark.parametrize("length", [0, -1, 2.5])
def test_a_length_is_a_positive_integer(classifier, tmp_path, length):
    with pytest.raises((ValueError, TypeError), match="sequence_length"):
        tfpar.export.tflite(classifier, tmp_path / "model.tflite", sequence_length=length)
    assert not list(tmp_path.iterdir())
