"""`tfpar export`: other people's models as files for a phone."""

import json

import keras
import numpy as np
import pytest
from fork_server import run_fork
from safetensors.numpy import save_file

from tfpar.export import TFLiteModel


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("third_party")
    keras.utils.set_random_seed(1)  # what 8 bits lose depends on the weights
    inputs = keras.Input((None, 5), name="x")
    x = keras.layers.LSTM(4)(keras.layers.LSTM(6, return_sequences=True)(inputs))
    keras.Model(inputs, keras.layers.Dense(2, name="y")(x)).save(directory / "model.keras")
    rows = np.random.default_rng(0).normal(size=(12, 6, 5)).astype(np.float32)
    np.savetxt(directory / "rows.csv", rows.reshape(12, 30), delimiter=",")
    np.save(directory / "row.npy", rows[0])
    np.save(directory / "wide.npy", rows[..., :3])
    shapes = {"weight_ih_l0": (12, 5), "weight_hh_l0": (12, 4), "bias_ih_l0": (12,), "bias_hh_l0": (12,)}
    save_file({name: np.full(shape, 0.1, np.float32) for name, shape in shapes.items()}, directory / "gru.safetensors")
    return directory


def test_keras(tfpar, files, tmp_path):
    out = tmp_path / "out"
    arguments = ["--format", "saved_model,float32,int8", "--calibration", f"csv:{files / 'rows.csv'}"]
    given = ["--keras", str(files / "model.keras"), "--export_dir", str(out)]
    run = tfpar("export", *given, *arguments, python=("-m", "tfpar"))
    assert run.returncode == 0, run.stderr
    assert run.stderr.splitlines() == [f"exporting {name} ..." for name in ("saved_model", "float32", "int8")]
    manifest = json.loads(run.stdout.splitlines()[-1])
    exports = {report["format"]: report for report in manifest["exports"]}
    assert list(exports) == ["saved_model", "float32", "int8"]
    assert exports["float32"]["max_abs_error"] < 1e-6 and exports["int8"]["max_abs_error"] < 0.1
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM" in exports["int8"]["ops"]
    (given,) = manifest["signatures"]["float32"]["serving_default"]["inputs"]
    assert given == {"name": "x", "shape": [1, 6, 5], "dtype": "float32"}
    assert json.loads((out / "manifest.json").read_text())["files"] and (out / "card.md").exists()
    assert tfpar("verify", str(out)).returncode == 0
    check_predictions(tfpar, files, out)


def check_predictions(tfpar, files, export_dir):
    """`tfpar predict` gives Keras' outputs for rows of a file, without TensorFlow."""
    main = ("-X", "importtime", "-m", "tfpar")
    run = tfpar("predict", export_dir, files / "rows.csv", f"npy:{files / 'row.npy'}", python=main)
    assert run.returncode == 0, run.stderr
    printed = json.loads(run.stdout)
    assert printed["format"] == "float32" and printed["predictions"][0]["input"] == str(files / "rows.csv")
    rows = np.loadtxt(files / "rows.csv", delimiter=",").reshape(12, 6, 5)
    expected = keras.saving.load_model(files / "model.keras")(rows)
    for prediction, outputs_expected in zip(printed["predictions"], (expected, expected[:1]), strict=True):
        np.testing.assert_allclose(prediction["outputs"]["y"], outputs_expected, atol=1e-5)
    assert not {"tensorflow", "keras"} & {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}
    run = tfpar("predict", export_dir, f"npy:{files / 'wide.npy'}")
    assert run.returncode == 1 and "takes finite float32" in run.stderr


KINDS = ("sequential", "functional", "nested", "subclassed", "trained_by_tfpar")


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """A directory with a file of each kind of model, and the Python file that defines their classes."""
    directory = tmp_path_factory.mktemp("kinds")
    (directory / "mine.py").write_text(MINE)
    program = "import mine\nfor name in sys.argv[1:]: mine.save(name)"
    done = run_fork(["-c", f"import sys; {program}", *KINDS], cwd=directory, timeout=280)
    assert done.returncode == 0, done.stderr
    return directory


MINE = """
import keras, numpy as np, tfpar
K = keras.layers

@keras.saving.register_keras_serializable()
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.recurrent, self.head = K.Bidirectional(K.LSTM(4)), K.Dense(2)

    def call(self, x):
        return self.head(self.recurrent(x))

def make(name):
    inputs = keras.Input((6, 3))
    if name == "subclassed":
        return Subclassed()
    if name == "trained_by_tfpar":
        return tfpar.train.Model(inputs, K.Dense(2)(tfpar.layers.GRU(4)(inputs)))
    if name == "functional":
        other = keras.Input((3,), name="a vector")
        sequence, h, c = K.LSTM(3, return_sequences=True, return_state=True)(inputs)
        return keras.Model([inputs, other], [sequence, K.add([h, other])])
    sequential = keras.Sequential([inputs, K.SimpleRNN(4, return_sequences=True), K.GRU(3), K.Dense(2)])
    return sequential if name == "sequential" else keras.Model(inputs, K.Softmax()(sequential(inputs)))

def save(name):
    keras.utils.set_random_seed(0)
    model = make(name)
    rows = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")
    given = [rows, rows[:, 0]] if name == "functional" else rows
    outputs = [np.asarray(x) for x in keras.tree.flatten(model(given))]
    np.savez(f"{name}.npz", *outputs)
    model.save(f"{name}.keras")
    if name != "subclassed":  # Keras saves no subclassed model so
        model.save(f"{name}.h5")
"""


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_each_kind(tfpar, kinds, tmp_path, kind, ending):
    if (kind, ending) == ("subclassed", "h5"):
        return
    given = ["--keras", kinds / f"{kind}.{ending}", "--import", kinds / "mine.py", "--tolerance", "1e-5"]
    run = tfpar("export", *given, "--format", "saved_model,float32", "--export_dir", tmp_path / "out")
    manifest = run.result
    assert [("refused" in entry) for entry in manifest["exports"]] == [False, False], manifest["exports"]
    with np.load(kinds / f"{kind}.npz") as arrays:
        expected = [arrays[name] for name in arrays.files]
    rows = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")
    (saved, float32) = manifest["exports"]
    assert len(saved["outputs"]) == len(expected) and float32["outputs"] == saved["outputs"]
    file = TFLiteModel(tmp_path / "out" / "model.float32.tflite")
    for row in range(2):
        inputs = {
            name: rows[row : row + 1] if len(shape) == 3 else rows[row : row + 1, 0]
            for name, (shape, _) in file.inputs.items()
        }
        found = file(**inputs)
        for name, truth in zip(float32["outputs"], expected, strict=True):
            np.testing.assert_allclose(found[name], truth[row : row + 1], atol=1e-5)


def test_torch(tfpar, files, tmp_path):
    out = tmp_path / "out"
    arguments = ["--format", "float32", "--sequence_length", "4", "--streaming", "--form", "unrolled"]
    run = tfpar("export", "--torch", str(files / "gru.safetensors"), "--export_dir", str(out), *arguments)
    assert run.returncode == 0, run.stderr
    (report,) = json.loads(run.stdout.splitlines()[-1])["exports"]
    assert report["form"] == "unrolled" and report["signatures"] == ["serving_default", "step"]


USERS_CODE = """
import keras

class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x

if __name__ == "__main__":
    inputs = keras.Input((4, 3), name="x")
    keras.Sequential([inputs, keras.layers.LSTM(4), Twice(), keras.layers.Dense(1)]).save("own.keras")
"""


def test_a_model_with_classes_of_the_users(tfpar, tmp_path):
    (tmp_path / "own_layers.py").write_text(USERS_CODE)
    assert run_fork(["own_layers.py"], cwd=tmp_path, timeout=280).returncode == 0
    arguments = ["export", "--keras", str(tmp_path / "own.keras"), "--format", "float32"]
    run = tfpar(*arguments, "--export_dir", str(tmp_path / "out"))
    assert run.returncode == 2 and "its class 'Twice' is unknown. Import the module or file" in run.stderr
    run = tfpar(*arguments, "--export_dir", str(tmp_path / "out"), "--import", str(tmp_path / "own_layers.py"))
    assert run.returncode == 0, run.stderr
    (report,) = json.loads(run.stdout.splitlines()[-1])["exports"]
    assert report["form"] == "fused" and report["max_abs_error"] < 1e-6


def test_a_microcontroller(tfpar, files, tmp_path):
    out = tmp_path / "out"
    arguments = ["--format", "int8", "--calibration", f"csv:{files / 'rows.csv'}", "--target", "micro"]
    run = tfpar("export", "--keras", str(files / "model.keras"), "--export_dir", str(out), *arguments)
    assert run.returncode == 0, run.stderr
    manifest = json.loads((out / "manifest.json").read_text())
    (report,) = manifest["exports"]
    assert report["form"] == "fused" and report["micro_max_abs_error"] < 0.05
    assert {"model.int8.cc", "model.int8.h", "model.int8.tflite"} < {entry["path"] for entry in manifest["files"]}
    assert f"model_int8_arena_bytes = {report['arena_bytes']};" in (out / "model.int8.h").read_text()
    assert f"{report['arena_bytes']:,} bytes" in (out / "card.md").read_text()
    (given,) = manifest["signatures"]["int8"]["serving_default"]["inputs"]
    assert given["dtype"] == "int8" and given["scale"] > 0 and -128 <= given["zero_point"] <= 127
    assert tfpar("verify", str(out)).returncode == 0


REFUSED = [
    (["--keras", "DIR/model.keras", "--target", "micro", "--streaming"], "Write one file for each"),
    (["--keras", "absent.keras"], "there is no Keras model absent.keras"),
    (["--torch", "DIR/rows.csv"], "cannot be read as safetensors"),
    (["--keras", "DIR/model.keras", "--calibration", "csv:absent.csv"], "cannot be read"),
    (["--keras", "DIR/model.keras", "--calibration", "DIR/rows.csv"], "--calibration must be npz:FILE, npy:FILE or"),
    (["--keras", "DIR/model.keras", "--format", "int9"], "--format must list some of"),
    (["--keras", "DIR/model.keras", "--import", "absent.py"], "--import must name a file that exists; got 'absent.py'"),
    (["--keras", "DIR/model.keras", "--format", "int8"], "needs --calibration"),
    (["--keras", "DIR/model.keras", "--batch_size", "0"], "--batch_size must be 1 or more"),
    (["--keras", "DIR/model.keras", "--sequence_length", "x"], "--sequence_length must be whole numbers"),
    ([], "one of the arguments --keras --torch is required"),
]


@pytest.mark.parametrize("arguments, message", REFUSED)
def test_refusals_write_nothing(tfpar, files, tmp_path, arguments, message):
    given = [argument.replace("DIR", str(files)) for argument in arguments]
    run = tfpar("export", *given, "--export_dir", str(tmp_path / "out"))
    errors = [line for line in run.stderr.splitlines() if line.startswith("error: ")]
    assert run.returncode == 2 and len(errors) == 1 and message in errors[0] and "Traceback" not in run.stderr
    assert not (tmp_path / "out").exists()
