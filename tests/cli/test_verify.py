"""`tfpar verify`."""

import json
import shutil

import pytest


@pytest.fixture
def copy(export_dir, tmp_path):
    return shutil.copytree(export_dir, tmp_path / "copy")


def report(run, returncode):
    assert run.returncode == returncode, run.stderr
    (line,) = run.stdout.splitlines()
    return json.loads(line)


def test_as_it_was_written(tfpar, export_dir):
    run = tfpar("verify", export_dir, python=("-m", "tfpar"))
    found = report(run, 0)
    assert found["ok"] is True
    assert found["ran"] == ["model.float32.tflite", "model.int8.tflite"]
    assert found["changed"] == found["missing"] == found["unlisted"] == []
    assert run.user_s < 3


def test_a_changed_byte(tfpar, copy):
    content = bytearray((copy / "model.int8.tflite").read_bytes())
    content[-1] ^= 1
    (copy / "model.int8.tflite").write_bytes(content)
    found = report(tfpar("verify", copy), 1)
    assert found["ok"] is False and found["changed"] == ["model.int8.tflite"]
    assert found["ran"] == ["model.float32.tflite"]


def test_a_missing_file(tfpar, copy):
    (copy / "saved_model" / "saved_model.pb").unlink()
    assert report(tfpar("verify", copy), 1)["missing"] == ["saved_model/saved_model.pb"]


def test_an_extra_file(tfpar, copy):
    (copy / "notes.txt").touch()
    assert report(tfpar("verify", copy), 1)["unlisted"] == ["notes.txt"]


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_not_an_export(tfpar, tmp_path, name):
    assert "is not an export" in tfpar("verify", tmp_path / name).error
