"""A file that is not good enough is not written."""

import numpy as np
import pytest

import tfpar
from tfpar.errors import UserError
from tfpar.export.conversion import measured_file
from tfpar.export.conversion.serving import ServingModel


@pytest.fixture
def convert_to(monkeypatch, exported):
    """Replace the converter by one that returns the file of another format."""

    def replace(name):
        content = exported(name).path.read_bytes()
        monkeypatch.setattr(measured_file, "_convert", lambda *_: content)

    return replace


def test_a_file_above_its_tolerance_is_refused(convert_to, classifier, rows, tmp_path):
    convert_to("int8")
    with pytest.raises(
        UserError, match=r"the float32 file differs from Keras by .*, more than the allowed .*e-0[56]; this is a fault"
    ):
        tfpar.export.tflite(classifier, tmp_path / "model.tflite", calibration={"tokens": rows})
    assert not list(tmp_path.iterdir())


def test_a_chosen_tolerance(convert_to, classifier, rows, tmp_path):
    convert_to("int8")
    with pytest.raises(UserError, match="more than the allowed 0.0001") as caught:
        tfpar.export.tflite(
            classifier, tmp_path / "m.tflite", quantize="int8", calibration={"tokens": rows}, tolerance=1e-4
        )
    assert "forward_lstm" in str(caught.value) and "quantize with dynamic" in str(caught.value)
    assert not list(tmp_path.iterdir())
    report = tfpar.export.tflite(classifier, tmp_path / "m.tflite", calibration={"tokens": rows}, tolerance=10.0)
    assert 1e-5 < report["max_abs_error"] < 10


def test_the_tolerance_of_8_bits_is_relative_to_the_outputs(convert_to, classifier, rows, tmp_path, monkeypatch):
    convert_to("int8")
    outputs = ServingModel.outputs
    # The file stays as it is, Keras' outputs become so small that its error is out of proportion.
    monkeypatch.setattr(ServingModel, "outputs", lambda *a: {k: v * 1e-3 for k, v in outputs(*a).items()})
    with pytest.raises(UserError, match="the int8 file differs from Keras by .*, more than the allowed"):
        tfpar.export.tflite(classifier, tmp_path / "m.tflite", quantize="int8", calibration={"tokens": rows})


def test_outputs_of_nan_are_refused(convert_to, classifier, rows, tmp_path, monkeypatch):
    convert_to("float32")
    monkeypatch.setattr(ServingModel, "outputs", lambda *_: {"logits": np.full((1, 3), np.nan, np.float32)})
    with pytest.raises(UserError, match="differs from Keras by nan in 'logits', .*the model itself gives NaN"):
        tfpar.export.tflite(classifier, tmp_path / "model.tflite", calibration={"tokens": rows})
    assert not list(tmp_path.iterdir())


def test_a_file_that_does_not_run_is_refused(convert_to, classifier, rows, tmp_path, monkeypatch):
    convert_to("float32")

    def fail(*_, **__):
        raise RuntimeError("failed to create XNNPACK runtime")

    monkeypatch.setattr(measured_file.TFLiteModel, "__call__", fail)
    with pytest.raises(UserError, match="the float32 file does not run: failed to create XNNPACK runtime"):
        tfpar.export.tflite(classifier, tmp_path / "model.tflite", calibration={"tokens": rows})
    assert not list(tmp_path.iterdir())


def test_operations_that_phones_lack_are_refused(convert_to, classifier, rows, tmp_path, monkeypatch):
    convert_to("float32")
    monkeypatch.setattr(measured_file.TFLiteModel, "operations", ["ADD", "FlexErf"])
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
