"""A file that is not good enough is not written."""

import numpy as np
import pytest

import tfpar
from tfpar.errors import UserError
from tfpar.export import signatures, to_tflite


@pytest.fixture
def convert_to(monkeypatch, exported):
    """Puts the finished file of another format in the converter's place."""

    def replace(name):
        content = exported(name).path.read_bytes()
        monkeypatch.setattr(to_tflite, "_convert", lambda *_: content)

    return replace


def test_a_file_that_strays_is_refused(convert_to, classifier, rows, tmp_path):
    convert_to("int8")
    with pytest.raises(UserError, match=r"the float32 file differs from Keras by .*, more than the allowed 1e-05"):
        tfpar.export.tflite(classifier, tmp_path / "model.tflite", calibration={"tokens": rows})
    assert not list(tmp_path.iterdir())


def test_answers_that_are_not_numbers_are_refused(convert_to, classifier, rows, tmp_path, monkeypatch):
    convert_to("float32")
    monkeypatch.setattr(signatures, "named_outputs", lambda *_: {"logits": np.full((1, 3), np.nan, np.float32)})
    with pytest.raises(UserError, match="differs from Keras by (nan|inf)"):
        tfpar.export.tflite(classifier, tmp_path / "model.tflite", calibration={"tokens": rows})
    assert not list(tmp_path.iterdir())


def test_a_file_that_does_not_run_is_refused(convert_to, classifier, rows, tmp_path, monkeypatch):
    convert_to("float32")

    def fail(*_, **__):
        raise RuntimeError("failed to create XNNPACK runtime")

    monkeypatch.setattr(to_tflite.TFLiteModel, "__call__", fail)
    with pytest.raises(UserError, match="the float32 file does not run: failed to create XNNPACK runtime"):
        tfpar.export.tflite(classifier, tmp_path / "model.tflite", calibration={"tokens": rows})
    assert not list(tmp_path.iterdir())


def test_operations_that_phones_lack_are_refused(convert_to, classifier, rows, tmp_path, monkeypatch):
    convert_to("float32")
    monkeypatch.setattr(to_tflite.TFLiteModel, "operations", ["ADD", "FlexErf"])
    with pytest.raises(UserError, match="FlexErf"):
        tfpar.export.tflite(classifier, tmp_path / "model.tflite", calibration={"tokens": rows})
    assert not list(tmp_path.iterdir())


def test_int8_needs_calibration(dense, tmp_path):
    with pytest.raises(UserError, match="calibration"):
        tfpar.export.tflite(dense, tmp_path / "model.tflite", quantize="int8")
    assert not list(tmp_path.iterdir())


def test_unknown_format(dense, tmp_path):
    with pytest.raises(ValueError, match="int8"):
        tfpar.export.tflite(dense, tmp_path / "model.tflite", quantize="int4")
    assert not list(tmp_path.iterdir())
