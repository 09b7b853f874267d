"""Predictions of any exported model for files of rows."""

import subprocess
import sys

import keras
import numpy as np
import pytest

import tfpar
from tfpar.errors import ChangedFileError, UserError
from tfpar.export.bundle.directory import Bundle, write_bundle
from tfpar.export.bundle.seal import seal_bundle
from tfpar.tasks.predictors import PREDICTORS, load_predictor

KEY = bytes(32)


def bundle_of(path, content):
    with write_bundle(path, {"task": "model", "exports": [{"format": "float32"}]}) as directory:
        (directory / "model.float32.tflite").write_bytes(content)
    return path


@pytest.fixture(scope="module")
def classifier_dir(tmp_path_factory, exported):
    return bundle_of(tmp_path_factory.mktemp("classifier") / "out", exported("float32").path.read_bytes())


@pytest.fixture(scope="module")
def two_inputs(tmp_path_factory):
    """A model of two inputs, and its export for two rows a call."""
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b", dtype="int32")
    inputs = [a, keras.layers.Rescaling(1.0, name="floats")(b)]
    model = keras.Model([a, b], keras.layers.Dense(2, name="y")(keras.layers.Concatenate()(inputs)))
    directory = tmp_path_factory.mktemp("two")
    tfpar.export.tflite(model, directory / "m.tflite", batch_size=2)
    return model, bundle_of(directory / "out", (directory / "m.tflite").read_bytes())


def test_padded_rows_equal_keras(classifier_dir, classifier, rows, tmp_path):
    predictor = load_predictor(Bundle(classifier_dir))
    np.save(tmp_path / "rows.npy", rows[:5])
    np.save(tmp_path / "short.npy", rows[2, :3].astype(np.int64))
    (tmp_path / "rows.csv").write_text("\n".join(",".join(map(str, row[row > 0])) for row in rows[:5]))
    expected = np.asarray(classifier(rows[:5]))
    for source in (f"npy:{tmp_path / 'rows.npy'}", str(tmp_path / "rows.npy"), f"csv:{tmp_path / 'rows.csv'}"):
        found = predictor(source)
        assert found["input"] == source and set(found["outputs"]) == {"logits"}
        np.testing.assert_allclose(found["outputs"]["logits"], expected, atol=1e-5)
    short = predictor(str(tmp_path / "short.npy"))["outputs"]["logits"]
    np.testing.assert_allclose(short, expected[2:3], atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_several_inputs_and_rows_of_a_call(two_inputs, tmp_path, count):
    model, directory = two_inputs
    generator = np.random.default_rng(0)
    arrays = {"a": generator.normal(size=(count, 3)), "b": generator.integers(0, 9, (count, 2))}
    np.savez(tmp_path / "f.npz", **arrays)
    found = load_predictor(Bundle(directory), "float32")(f"npz:{tmp_path / 'f.npz'}")["outputs"]["y"]
    np.testing.assert_allclose(found, model([arrays["a"], arrays["b"]]), atol=1e-5)


def test_as_many_rows_of_each_input(two_inputs, tmp_path):
    np.savez(tmp_path / "f.npz", a=np.ones((2, 3)), b=np.ones((3, 2), int))
    with pytest.raises(UserError, match="f.npz: all inputs must have as many rows; got {'a': 2, 'b': 3}"):
        load_predictor(Bundle(two_inputs[1]))(str(tmp_path / "f.npz"))


@pytest.mark.parametrize("source", ["rows.txt", "txt:rows.npy.txt", "", "-"])
def test_inputs_of_another_kind(classifier_dir, source):
    with pytest.raises(UserError, match="an input must be npz:FILE, npy:FILE, csv:FILE, tsv:FILE"):
        load_predictor(Bundle(classifier_dir))(source)


def test_an_input_that_does_not_fit_is_named(classifier_dir, tmp_path):
    np.save(tmp_path / "long.npy", np.ones((1, 9), int))
    with pytest.raises(UserError, match="long.npy: the input 'tokens' takes finite int32.*got 9 time steps"):
        load_predictor(Bundle(classifier_dir))(str(tmp_path / "long.npy"))


@pytest.mark.parametrize("task", ["telling time", None, []])
def test_unknown_tasks(tmp_path, task):
    with write_bundle(tmp_path / "out", {"task": task, "exports": []}):
        pass
    with pytest.raises(UserError, match="it must be for one of .*model.*text_classification"):
        load_predictor(Bundle(tmp_path / "out"))


def test_predictors_import_no_tensorflow():
    program = "import importlib, sys; from tfpar.tasks.predictors import PREDICTORS\n"
    program += "loaded = [getattr(importlib.import_module(f'tfpar.{m}'), n) for m, n in PREDICTORS.values()]\n"
    program += "print(len(loaded), *({'tensorflow', 'keras'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(len(PREDICTORS))


def test_encrypted(classifier_dir, rows, signing_key, tmp_path):
    np.save(tmp_path / "rows.npy", rows[:2])
    plain = load_predictor(Bundle(classifier_dir))(str(tmp_path / "rows.npy"))
    seal_bundle(classifier_dir, signing_key, KEY, tmp_path / "sealed")
    sealed = Bundle(tmp_path / "sealed", KEY, signing_key.public_key())
    assert load_predictor(sealed)(str(tmp_path / "rows.npy")) == plain
    with pytest.raises(UserError, match="is encrypted; give `encryption_key`"):
        load_predictor(Bundle(tmp_path / "sealed", public_key=signing_key.public_key()))


def test_a_changed_file_is_not_run(classifier_dir, tmp_path):
    content = (classifier_dir / "model.float32.tflite").read_bytes()
    path = bundle_of(tmp_path / "out", content) / "model.float32.tflite"
    path.write_bytes(content[:-1] + b"x")
    with pytest.raises(ChangedFileError, match="model.float32.tflite was changed"):
        load_predictor(Bundle(tmp_path / "out"))


def test_a_file_that_is_no_model(tmp_path):
    with pytest.raises(UserError, match="model.float32.tflite is not a TFLite model"):
        load_predictor(Bundle(bundle_of(tmp_path / "out", b"nothing of the kind")))
