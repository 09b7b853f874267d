"""Models of stock Keras layers are converted to ours, with the same outputs."""

import keras
import numpy as np
import pytest

import tfpar
from tfpar.errors import UserError
from tfpar.export.foreign.stock_keras import load_keras

ROWS = np.random.default_rng(0).normal(size=(3, 7, 5)).astype(np.float32)
TOKENS = np.array([[1, 2, 3, 0, 0], [4, 5, 6, 7, 8]])


def functional():
    inputs = keras.Input((None, 5), name="x")
    x = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True, dropout=0.1), merge_mode="ave")(inputs)
    x = keras.layers.GRU(3, return_sequences=True, reset_after=False, go_backwards=True)(x)
    x = keras.layers.SimpleRNN(3, activation="relu")(x)
    head = keras.Sequential([keras.Input((3,)), keras.layers.Dense(7), keras.layers.Dropout(0.5)], name="head")
    return keras.Model(inputs, keras.layers.Dense(2, name="y")(head(x)))


def nested():
    inner_inputs = keras.Input((None, 5))
    inner = keras.Model(inner_inputs, keras.layers.LSTM(4)(inner_inputs), name="inner")
    inputs = keras.Input((None, 5), name="x")
    return keras.Model(inputs, keras.layers.Dense(2, name="y")(inner(inputs)))


def sequential():
    embedding = keras.layers.Embedding(9, 4, mask_zero=True)
    return keras.Sequential([keras.Input((5,), dtype="int32"), embedding, keras.layers.GRU(3)])


def with_state():
    """Layers that hold more than weights, and one that has no counterpart."""
    lookup, normalization = keras.layers.IntegerLookup(), keras.layers.Normalization()
    lookup.adapt(np.arange(9))
    normalization.adapt(1000 + 500 * ROWS)
    inputs = keras.Input((None, 5), name="x")
    x = keras.layers.LSTM(4, return_sequences=True)(normalization(inputs))
    x = keras.layers.RNN(keras.layers.GRUCell(3))(keras.layers.Lambda(lambda x: 2 * x)(x))
    ids = lookup(keras.layers.Lambda(lambda x: keras.ops.cast(keras.ops.abs(3 * x[:, 0]), "int64"))(inputs))
    table = keras.layers.Flatten()(keras.layers.Embedding(11, 2)(ids))
    return keras.Model(inputs, keras.layers.Concatenate()([x, table]))


@pytest.mark.parametrize(
    "make, rows", [(functional, ROWS), (nested, ROWS), (sequential, TOKENS), (with_state, 1000 + 300 * ROWS)]
)
def test_same_outputs_from_our_layers(make, rows):
    model = make()
    ours = tfpar.export.from_keras(model)
    np.testing.assert_allclose(ours(rows), model(rows), atol=1e-6)
    stock = (keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN, keras.layers.Bidirectional)
    assert not [layer for layer in ours._flatten_layers() if isinstance(layer, stock)]
    assert [layer for layer in model._flatten_layers() if isinstance(layer, stock)], "the model itself stays"
    assert list(map(id, ours.weights)) == list(map(id, model.weights)), "they are the model's own"
    assert [layer.name for layer in ours.layers] == [layer.name for layer in model.layers]


def test_a_stock_model_of_two_layers_is_exported_fused(tmp_path):
    inputs = keras.Input((None, 5), name="x")
    x = keras.layers.LSTM(4)(keras.layers.LSTM(6, return_sequences=True)(inputs))
    path = tmp_path / "model.keras"
    keras.Model(inputs, x).save(path)
    report = tfpar.export.tflite(load_keras(path), tmp_path / "model.tflite", calibration={"x": ROWS})
    assert report["form"] == "fused" and report["max_abs_error"] < 1e-6


def test_refusals(tmp_path):
    with pytest.raises(UserError, match="functional or sequential"):
        tfpar.export.from_keras(keras.Sequential([keras.layers.LSTM(2)]))
    with pytest.raises(UserError, match="there is no Keras model"):
        load_keras(tmp_path / "absent.keras")
    lambdas, path = with_state(), tmp_path / "lambda.keras"
    lambdas.save(path)
    with pytest.raises(UserError, match="has a Lambda layer, which holds Python code"):
        load_keras(path)
    path = tmp_path / "broken.keras"
    path.write_bytes(b"no zip")
    with pytest.raises(UserError, match="cannot be loaded by Keras"):
        load_keras(path)
