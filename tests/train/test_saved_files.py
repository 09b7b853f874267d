"""Files of models are loaded after `import tfpar` alone, and weights can be exchanged with Keras' layers."""

import importlib
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest

import tfpar
from tfpar import saved_names

LAYERS = {
    "lstm": lambda layers: layers.LSTM(3, name="recurrent"),
    "gru": lambda layers: layers.GRU(3, dropout=0.1, name="recurrent"),
    "simple_rnn": lambda layers: layers.SimpleRNN(3, name="recurrent"),
    "bidirectional": lambda layers: layers.Bidirectional(layers.LSTM(3), name="recurrent"),
}
X = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")


def make(model_class, layers, name, nested=None):
    x = keras.Input((5, 4))
    layer = LAYERS[name](layers)
    if nested == "sequential":
        layer = keras.Sequential([keras.Input((5, 4)), layer], name="inner")
    elif nested == "model":
        inputs = keras.Input((5, 4))
        layer = model_class(inputs, layer(inputs), name="inner")
    return model_class(x, keras.layers.Dense(2)(layer(x)))


@pytest.mark.parametrize(
    "name, nested", [*((name, None) for name in LAYERS), ("lstm", "sequential"), ("bidirectional", "model")]
)
def test_weights_files_fit_layers_of_keras_and_of_tfpar(name, nested, tmp_path):
    makers = ((keras.Model, keras.layers), (tfpar.train.Model, tfpar.layers))
    for writer, reader in (makers, makers[::-1]):
        written, read = make(*writer, name, nested), make(*reader, name, nested)
        written.save_weights(tmp_path / "model.weights.h5")
        read.load_weights(tmp_path / "model.weights.h5")
        np.testing.assert_allclose(read(X), written(X), atol=1e-6)


def test_files_of_earlier_versions_hold_weights_without_a_cell(tmp_path):
    written, read = (make(tfpar.train.Model, tfpar.layers, "lstm") for _ in range(2))
    path = tmp_path / "model.weights.h5"
    written.save_weights(path)
    with h5py.File(path, "a") as file:
        del file["layers/lstm/vars"]
        file.move("layers/lstm/cell/vars", "layers/lstm/vars")
        del file["layers/lstm/cell"]
    read.load_weights(path)
    np.testing.assert_array_equal(read(X), written(X))


def test_files_of_earlier_versions_name_nested_models_by_our_class(tmp_path):
    written, read = (make(tfpar.train.Model, tfpar.layers, "gru", "model") for _ in range(2))
    path = tmp_path / "model.weights.h5"
    written.save_weights(path)
    with h5py.File(path, "a") as file:
        file.move("layers/functional", "layers/functional_model")
    read.load_weights(path)
    np.testing.assert_array_equal(read(X), written(X))


def test_a_file_without_a_layers_weights_is_refused(tmp_path):
    model = make(tfpar.train.Model, tfpar.layers, "lstm")
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    with h5py.File(path, "a") as file:
        del file["layers/lstm/cell"]
    with pytest.raises(ValueError, match="expected 3 variables, but received 0 variables"):
        model.load_weights(path)


@pytest.mark.parametrize(
    "imports",
    [
        "import tfpar, keras",
        "import keras, tfpar",
        "import tfpar, importlib.util; importlib.util.find_spec('keras'); import keras",
    ],
)
def test_importing_tfpar_is_enough_to_load(imports, tmp_path):
    names = [f"{who}.{ending}" for who in ("ours", "keras") for ending in ("keras", "h5")]
    for name in names:
        model = make(tfpar.train.Model if name.startswith("ours") else keras.Model, tfpar.layers, "lstm")
        model.compile("adam", tfpar.train.SmoothedCrossentropy())
        model.save(tmp_path / name)
    program = f"""
{imports}
for name in {names}:
    model = keras.saving.load_model({str(tmp_path)!r} + "/" + name)
    print(type(model).__name__, type(model.layers[1]).__module__)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    layer = "tfpar.layers.recurrent.lstm"
    assert done.stdout.splitlines() == [f"{m} {layer}" for m in ("FunctionalModel",) * 2 + ("Functional",) * 2]


def test_every_registered_class_is_known_by_name():
    # First, because packages import and register their classes when they are read.
    known = {
        getattr(importlib.import_module(module), name)
        for module, names in saved_names._SAVED_CLASSES.items()
        for name in names
    }
    registry = keras.saving.get_custom_objects()
    classes = {v for k, v in registry.items() if k.startswith("tfpar>") and isinstance(v, type)}
    assert {c for c in classes if c.__module__.startswith("tfpar.")} == known


@keras.saving.register_keras_serializable(package="tests")
class OfOwnArguments(tfpar.train.Model):
    """Model that calls the constructor with inputs and outputs."""

    def __init__(self, units, **kwargs):
        x = keras.Input((5, 4))
        super().__init__(x, keras.layers.Dense(units)(tfpar.layers.GRU(3)(x)), **kwargs)
        self.units = units

    def get_config(self):
        return {"units": self.units, "name": self.name}


def test_a_subclass_may_be_functional_and_stays_its_class(tmp_path):
    model = OfOwnArguments(2)
    assert type(model) is type(OfOwnArguments(3)) is OfOwnArguments
    model.compile("sgd", "mse")
    model.fit(X, np.zeros((2, 2)), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is OfOwnArguments
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


@keras.saving.register_keras_serializable(package="tests")
class InTwoLanes(tfpar.train.Model):
    """Model without a constructor of its own, functional or subclassed."""

    lanes = 2


def test_a_class_without_a_constructor_may_be_functional_and_subclassed(tmp_path):
    class Subclassed(InTwoLanes):
        def __init__(self):
            super().__init__()
            self.logits = keras.layers.Dense(2)

        def call(self, x):
            return self.logits(x[:, 0])

    model = make(InTwoLanes, tfpar.layers, "lstm")
    assert isinstance(model, InTwoLanes) and Subclassed()(X).shape == (2, 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, InTwoLanes) and loaded.lanes == 2
    np.testing.assert_array_equal(loaded(X), model(X))


def test_a_sequential_model_trains_and_is_loaded_as_its_class(tmp_path):
    model = tfpar.train.Sequential([tfpar.layers.LSTM(3), keras.layers.Dense(2)])
    model.lanes = 2
    model.compile("sgd", "mse")
    model.fit(X, np.zeros((2, 2)), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is tfpar.train.Sequential
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
