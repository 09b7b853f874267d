"""Errors of a converter that fails, crashes or hangs."""

import sys
import textwrap

import keras
import pytest

import tfpar
from tfpar.errors import UserError
from tfpar.export.conversion import converter as convert
from tfpar.export.conversion import measured_file

PROGRAM = """
import os, signal, sys, time
from tfpar.export.conversion.converter_process import serve

def convert(directory, format_name, target):
{body}

serve(convert)
"""


@pytest.fixture
def converter(monkeypatch, tmp_path):
    """`converter(body)` replaces the converter, in its process, by a function of `directory`, `format_name`;
    `tmp_path / "out"` is for the file."""
    (tmp_path / "out").mkdir()

    def replace(body):
        convert.stop_converter()
        program = PROGRAM.format(body=textwrap.indent(body, "    "))
        monkeypatch.setattr(convert, "COMMAND", [sys.executable, "-c", program])

    yield replace
    convert.stop_converter()


def refused(model, directory, **options):
    with pytest.raises(UserError) as caught:
        tfpar.export.tflite(model, directory / "model.tflite", **options)
    assert not list(directory.iterdir())
    return str(caught.value)


def test_a_failure_is_one_line_with_its_last_error(converter, dense, tmp_path):
    converter("raise ValueError('the operation Foo is unknown\\n' + 'last\\n' * 100)")
    message = refused(dense, tmp_path / "out")
    assert "failed on the float32 file" in message
    assert "the operation Foo is unknown. Try" in message and "\n" not in message and "last" not in message


def test_death_by_a_signal(converter, dense, tmp_path):
    converter("os.kill(os.getpid(), signal.SIGSEGV)")
    assert "was killed by signal 11 on the float16 file" in refused(dense, tmp_path / "out", quantize="float16")


def test_time_out(converter, dense, tmp_path):
    converter("time.sleep(60)")
    assert "within 1 s" in refused(dense, tmp_path / "out", timeout_s=1)
    assert not convert._running[-1].is_usable  # it is not waited for


def test_the_next_file_is_converted_after_one_that_failed(converter, dense, tmp_path):
    converter("os.kill(os.getpid(), signal.SIGSEGV)\n" * 2)
    for _ in range(2):
        assert "was killed by signal 11" in refused(dense, tmp_path / "out")


def test_a_converter_that_cannot_start(monkeypatch, dense, tmp_path):
    convert.stop_converter()
    monkeypatch.setattr(convert, "COMMAND", [sys.executable, "-c", "raise SystemExit('no TensorFlow here')"])
    (tmp_path / "out").mkdir()
    assert "no TensorFlow here" in refused(dense, tmp_path / "out")


def test_operations_that_tflite_lacks_are_named(tmp_path):
    ids = keras.Input((5,), dtype="int64")
    hashed = keras.Model(ids, keras.layers.Hashing(10)(ids))
    (tmp_path / "out").mkdir()
    message = refused(hashed, tmp_path / "out")
    assert "no builtin operation for tf.AsString, tf.StringToHashBucketFast. Remove the layer" in message


def test_an_old_file_survives_a_failure(converter, dense, tmp_path):
    path = tmp_path / "out" / "model.tflite"
    path.write_bytes(b"of yesterday")
    converter("sys.exit(1)")
    with pytest.raises(UserError):
        tfpar.export.tflite(dense, path)
    assert [*path.parent.iterdir()] == [path]
    assert path.read_bytes() == b"of yesterday"


def test_the_converter_gets_a_saved_model_and_samples(converter, dense, tmp_path, monkeypatch):
    content = "saw " + "-" * 40
    converter(
        "assert (directory / 'saved_model/saved_model.pb').exists() and (directory / 'calibration.pickle').exists()\n"
        f"assert format_name == 'dynamic'; (directory / 'model.tflite').write_text('{content}')"
    )
    monkeypatch.setattr(measured_file, "patch_tflite", lambda converted, names: converted + b"!")
    # The converter was content; that what it wrote is no model is found when the file is measured.
    assert "not a TFLite model" in refused(dense, tmp_path / "out", quantize="dynamic")
