"""A SavedModel is TensorFlow's alone: it runs where neither tfpar nor Keras can be imported."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfpar
from tfpar.errors import UserError
from tfpar.export.conversion import to_saved_model
from tfpar.layers.recurrent import placement

STRANGER = """
import json, sys
from importlib.machinery import ModuleSpec

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tfpar", "keras", "tf_keras"):
            return ModuleSpec(name, self)

    def create_module(self, spec):
        raise ModuleNotFoundError(f"{spec.name} is not available")

    def exec_module(self, module):
        pass

sys.meta_path.insert(0, Refuse())
import numpy as np, tensorflow as tf
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
inputs = np.load(sys.argv[2])
np.savez(sys.argv[3], **{name: serve(tokens=tf.constant(inputs[name]))["logits"] for name in inputs.files})
inputs = {name: [spec.dtype.name, spec.shape.as_list()] for name, spec in serve.structured_input_signature[1].items()}
outputs = {name: [spec.dtype.name, spec.shape.as_list()] for name, spec in serve.structured_outputs.items()}
print(json.dumps([inputs, outputs, [name for name in ("tfpar", "keras") if name in sys.modules]]))
"""


@pytest.fixture(scope="module")
def abroad(classifier, rows, tmp_path_factory):
    """Results of a process without tfpar and Keras: signature, and outputs by name of the input."""
    directory = tmp_path_factory.mktemp("abroad")
    tfpar.export.saved_model(classifier, directory / "saved_model")
    inputs = {f"{batch}x{time}": rows[5 : 5 + batch, :time] for batch in (1, 3) for time in (2, 7)}
    np.savez(directory / "inputs.npz", **inputs)
    names = (directory / name for name in ("saved_model", "inputs.npz", "outputs.npz"))
    done = subprocess.run([sys.executable, "-c", STRANGER, *names], capture_output=True, text=True, cwd=directory)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), inputs, dict(np.load(directory / "outputs.npz"))


def test_names_shapes_and_dtypes(abroad):
    (inputs, outputs, imported), _, _ = abroad
    assert inputs == {"tokens": ["int32", [None, None]]}
    assert outputs["logits"][0] == "float32" and outputs["logits"][1][-1] == 3
    assert imported == []


@pytest.mark.parametrize("name", ["1x2", "1x7", "3x2", "3x7"])
def test_equals_keras(abroad, classifier, name):
    _, inputs, outputs = abroad
    assert outputs[name].shape == (int(name[0]), 3)
    np.testing.assert_allclose(outputs[name], classifier(inputs[name]), rtol=0, atol=1e-6)


def test_several_inputs_and_outputs(tmp_path):
    left, right = keras.Input((None, 3), name="left"), keras.Input((3,), name="right")
    total = keras.layers.Add(name="total")([keras.layers.GlobalMaxPooling1D(name="most")(left), right])
    model = keras.Model([right, left], {"b": total, "a": keras.layers.Dense(2, name="scores")(total)})
    tfpar.export.saved_model(model, tmp_path / "m")
    serve = tf.saved_model.load(str(tmp_path / "m")).signatures["serving_default"]
    inputs = {"left": np.ones((2, 4, 3), np.float32), "right": np.arange(6, dtype=np.float32).reshape(2, 3)}
    found = serve(**{name: tf.constant(value) for name, value in inputs.items()})
    expected = model([inputs["right"], inputs["left"]])
    assert set(found) == {"a", "b"}
    np.testing.assert_allclose(found["b"], expected["b"], rtol=1e-6)
    np.testing.assert_allclose(found["a"], expected["a"], rtol=1e-6)


def test_replaces_a_saved_model_as_a_whole(dense, tmp_path):
    tfpar.export.saved_model(dense, tmp_path / "m")
    (tmp_path / "m" / "left_over").touch()
    tfpar.export.saved_model(dense, tmp_path / "m")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert not (tmp_path / "m" / "left_over").exists()


def test_a_failed_save_writes_nothing(dense, tmp_path, monkeypatch):
    def save(module, path, signatures):
        tf.io.gfile.makedirs(f"{path}/variables")
        raise OSError("disk full")

    monkeypatch.setattr(to_saved_model.tf.saved_model, "save", save)
    with pytest.raises(OSError, match="disk full"):
        tfpar.export.saved_model(dense, tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_a_directory_of_other_files_is_not_replaced(dense, tmp_path):
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(UserError, match=r"saved_model\.pb"):
        tfpar.export.saved_model(dense, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_model_without_inputs_is_refused(tmp_path):
    with pytest.raises(UserError, match="vague is not built, so its inputs are unknown. Call it once on data"):
        tfpar.export.saved_model(keras.Sequential([keras.layers.Dense(1)], name="vague"), tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_made_beside_a_mocked_gpu_it_runs_on_a_cpu(classifier, rows, tmp_path, monkeypatch):
    """A file has no cuDNN op, even where the layers use it."""
    expected = classifier(rows[:3]).numpy()
    scope = tf.__internal__.eager_context.get_device_name
    monkeypatch.setattr(placement, "device_type", lambda: "CPU" if "CPU" in (scope() or "") else "GPU")

    def kinds(graph):
        return {node.op for function in graph.library.function for node in function.node_def} | {
            node.op for node in graph.node
        }

    specs = [tf.TensorSpec((None, None), tf.int32)]
    trained = tf.function(lambda tokens: classifier(tokens), autograph=False, input_signature=specs)
    assert "CudnnRNNV3" in kinds(trained.get_concrete_function().graph.as_graph_def())
    tfpar.export.saved_model(classifier, tmp_path / "saved_model")
    serve = tf.saved_model.load(str(tmp_path / "saved_model")).signatures["serving_default"]
    assert not {kind for kind in kinds(serve.graph.as_graph_def()) if kind.startswith("Cudnn")}
    np.testing.assert_allclose(serve(tokens=tf.constant(rows[:3]))["logits"], expected, atol=1e-5)
