"""A model of any kind exports as it is: every output, in order, equals the model's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfpar
from tfpar.errors import UserError
from tfpar.export.foreign.stock_keras import load_keras

TIME, FEATURES = 6, 3
ROWS = np.random.default_rng(0).normal(size=(8, TIME, FEATURES)).astype(np.float32)
VECTORS = np.random.default_rng(1).normal(size=(8, 2)).astype(np.float32)
K = keras.layers


@keras.saving.register_keras_serializable(package="test_model_kinds")
class Subclassed(keras.Model):
    """A recurrent layer, its last state, and a head."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.recurrent = K.Bidirectional(K.LSTM(4, return_sequences=True))
        self.gru = K.GRU(4, return_state=True)
        self.head = K.Dense(2)

    def call(self, x):
        last, state = self.gru(self.recurrent(x))
        return self.head(last), state


@keras.saving.register_keras_serializable(package="test_model_kinds")
class SubclassedPair(keras.Model):
    """Two inputs in a dict."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.recurrent = K.LSTM(4)

    def call(self, inputs):
        return {"sum": K.add([self.recurrent(inputs["rows"]), K.concatenate([inputs["vectors"]] * 2)])}


def sequential():
    return keras.Sequential([keras.Input((TIME, FEATURES)), K.LSTM(4, return_sequences=True), K.GRU(4), K.Dense(2)])


def built_by_call():
    model = keras.Sequential([K.LSTM(4), K.Dense(2)])
    model(ROWS)
    return model


def functional():
    """Two inputs; the outputs are a sequence, a state of each direction, and a head that is applied twice."""
    rows, vectors = keras.Input((TIME, FEATURES), name="my rows"), keras.Input((4,), name="vectors")
    head = K.Dense(2, name="a head")
    x = K.Bidirectional(K.LSTM(4, return_sequences=True), merge_mode=None, name="both")(rows)
    last, h, c = K.LSTM(4, return_state=True)(x[1])
    return keras.Model([vectors, rows], [*x, h, c, head(last), head(K.add([vectors, h]))])


def nested():
    inner = sequential()
    inputs = keras.Input((TIME, FEATURES))
    return keras.Model(inputs, {"z": K.Dense(1)(inner(inputs)), "a": K.Flatten()(inputs)})


def subclassed():
    model = Subclassed()
    model(ROWS)
    return model


def subclassed_pair():
    model = SubclassedPair()
    model({"rows": ROWS, "vectors": VECTORS})
    return model


def trained_by_tfpar():
    inputs = keras.Input((TIME, FEATURES))
    return tfpar.train.Model(inputs, [K.LSTM(4)(inputs), tfpar.layers.GRU(3, return_sequences=True)(inputs)])


KINDS = (sequential, built_by_call, functional, nested, subclassed, subclassed_pair, trained_by_tfpar)


def inputs_of(make):
    if make is functional:
        return [np.tile(VECTORS, 2), ROWS]
    return {"rows": ROWS, "vectors": VECTORS} if make is subclassed_pair else ROWS


def outputs_in_order(outputs, names):
    return [np.asarray(outputs[name]) for name in names]


@pytest.mark.parametrize("make", KINDS)
def test_files_equal_the_model(make, tmp_path):
    model, inputs = make(), inputs_of(make)
    expected = [np.asarray(output) for output in keras.tree.flatten(model(inputs))]
    arrays = keras.tree.flatten(inputs)

    report = tfpar.export.saved_model(model, tmp_path / "saved_model")
    serve = tf.saved_model.load(str(tmp_path / "saved_model")).signatures["serving_default"]
    names = [spec.name for spec in serve.structured_input_signature[1].values()]
    in_order = {name: arrays[list(report_inputs(model)).index(name)] for name in names}
    found = serve(**{name: tf.constant(array) for name, array in in_order.items()})
    assert len(report["outputs"]) == len(expected) and set(found) == set(report["outputs"])
    for output, truth in zip(outputs_in_order(found, report["outputs"]), expected, strict=True):
        np.testing.assert_allclose(output, truth, atol=1e-5)

    for quantize, atol in ((None, 1e-5), ("int8", 0.3)):
        options = {"tolerance": 0.5} if quantize else {}  # random weights lose more in 8 bits than trained ones
        report = tfpar.export.tflite(model, tmp_path / "m.tflite", quantize=quantize, calibration=inputs, **options)
        file = tfpar.export.TFLiteModel(tmp_path / "m.tflite")
        assert list(file.outputs) == sorted(report["outputs"])
        found = file(**{name: arrays[i][:1] for i, name in enumerate(report_inputs(model))})
        for output, truth in zip(outputs_in_order(found, report["outputs"]), expected, strict=True):
            np.testing.assert_allclose(output, truth[:1], atol=atol * max(1, np.abs(truth).max()))


def report_inputs(model):
    return tfpar.export.conversion.serving.ServingModel(model).input_names


def test_outputs_of_a_file_are_in_the_order_of_the_model(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    model = functional()
    report = tfpar.export.tflite(model, tmp_path / "m.tflite")
    assert report["renamed"] == {
        "inputs": {"my_rows": "my rows"},
        "outputs": {"both_1": "both", "a_head": "a head"},
    } | {"outputs": report["renamed"]["outputs"]}
    interpreter = Interpreter(str(tmp_path / "m.tflite"))
    by_index = {
        detail["index"]: name for name, detail in interpreter.get_signature_runner().get_output_details().items()
    }
    assert [by_index[detail["index"]] for detail in interpreter.get_output_details()] == report["outputs"]


@pytest.mark.parametrize("make", [sequential, functional, subclassed, trained_by_tfpar])
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_saved_model_of_any_kind_loads(make, ending, tmp_path):
    if make is subclassed and ending == ".h5":
        return  # Keras itself cannot save it so
    model = make()
    model.save(tmp_path / f"model{ending}")
    loaded = load_keras(tmp_path / f"model{ending}")
    for output, truth in zip(
        keras.tree.flatten(loaded(inputs_of(make))), keras.tree.flatten(model(inputs_of(make))), strict=True
    ):
        np.testing.assert_allclose(output, truth, atol=1e-6)
    assert tfpar.export.conversion.serving.ServingModel(loaded).output_names


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: keras.Sequential([K.Dense(1)]), "is not built, so its inputs are unknown. Call it once"),
        (lambda: Subclassed(), "is not built, so its inputs are unknown. Call it once"),
        (lambda: K.Dense(1), "`model` must be a keras.Model; got Dense"),
    ],
)
def test_models_without_inputs_are_refused(make, message, tmp_path):
    with pytest.raises(UserError, match=message):
        tfpar.export.tflite(make(), tmp_path / "m.tflite")
    with pytest.raises(UserError, match=message):
        tfpar.export.saved_model(make(), tmp_path / "m")
    assert not list(tmp_path.iterdir())
