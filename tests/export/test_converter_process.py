"""What happens when the converter fails, dies or hangs."""

import subprocess
import sys

import pytest

import tfpar
from tfpar.errors import UserError
from tfpar.export import convert, to_tflite

run = subprocess.run


@pytest.fixture
def converter(monkeypatch, tmp_path):
    """`converter(code)` puts a Python program in the converter's place; `tmp_path / "out"` is for the file."""
    (tmp_path / "out").mkdir()

    def replace(code):
        def run_instead(command, **options):
            return run([sys.executable, "-c", code, *command[3:]], **options)

        monkeypatch.setattr(convert.subprocess, "run", run_instead)

    return replace


def refused(model, directory, **options):
    with pytest.raises(UserError) as caught:
        tfpar.export.tflite(model, directory / "model.tflite", **options)
    assert not list(directory.iterdir())
    return str(caught.value)


def test_failure_ends_with_its_last_words(converter, dense, tmp_path):
    converter("import sys; sys.exit('first\\n' * 100 + 'the operation Foo is unknown')")
    message = refused(dense, tmp_path / "out")
    assert "failed on the float32 file" in message
    assert message.endswith("the operation Foo is unknown")
    assert message.count("first") < 20


def test_death_by_a_signal(converter, dense, tmp_path):
    converter("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert "died of signal 11 on the float16 file" in refused(dense, tmp_path / "out", quantize="float16")


def test_time_out(converter, dense, tmp_path):
    converter("import time; time.sleep(60)")
    assert "within 1 s" in refused(dense, tmp_path / "out", timeout_s=1)


def test_an_old_file_survives_a_failure(converter, dense, tmp_path):
    path = tmp_path / "out" / "model.tflite"
    path.write_bytes(b"of yesterday")
    converter("raise SystemExit(1)")
    with pytest.raises(UserError):
        tfpar.export.tflite(dense, path)
    assert [*path.parent.iterdir()] == [path]
    assert path.read_bytes() == b"of yesterday"


def test_the_converter_gets_a_saved_model_and_samples(converter, dense, tmp_path, monkeypatch):
    content = "saw " + "-" * 40
    converter(
        "import pathlib, sys; d = pathlib.Path(sys.argv[1]);"
        "assert (d / 'saved_model/saved_model.pb').exists() and (d / 'calibration.pickle').exists() and sys.argv[2] == "
        f"'dynamic'; (d / 'model.tflite').write_text('{content}')"
    )
    monkeypatch.setattr(to_tflite, "mend_cells", lambda converted: converted + b"!")
    # The converter was content; that what it wrote is no model is found when the file is measured.
    assert "not a TFLite model" in refused(dense, tmp_path / "out", quantize="dynamic")
