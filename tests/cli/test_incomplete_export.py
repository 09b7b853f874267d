"""`tfpar predict` with an export that lost something on its way."""

import shutil

import pytest


@pytest.fixture
def copy(export_dir, tmp_path):
    return shutil.copytree(export_dir, tmp_path / "copy")


@pytest.mark.parametrize("name", ["model.float32.tflite", "tokenizer.json", "labels.txt", "manifest.json"])
def test_a_file_is_gone(tfpar, copy, name):
    (copy / name).unlink()
    assert name in tfpar("predict", copy, "text").error


@pytest.mark.parametrize("name", ["tokenizer.json", "manifest.json"])
def test_a_file_is_cut_short(tfpar, copy, name):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    assert name in tfpar("predict", copy, "text").error


@pytest.mark.parametrize("size", [0, 4, 1000])
def test_the_model_is_cut_short(tfpar, copy, size):
    path = copy / "model.float32.tflite"
    path.write_bytes(path.read_bytes()[:size])
    assert path.name in tfpar("predict", copy, "text").error
