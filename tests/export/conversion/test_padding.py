"""Masked steps may stand anywhere: files follow Keras on rows that are padded at either end, with gaps, or entirely."""

import keras
import numpy as np
import pytest

import tfpar
from tfpar.errors import UserError
from tfpar.export.conversion.samples import rows_to_compare, sample_inputs

K = keras.layers
TIME = 7
IDS = np.array(
    [
        [0, 0, 0, 4, 5, 6, 7],
        [4, 5, 6, 0, 0, 0, 0],
        [0, 4, 0, 0, 5, 6, 0],
        [4, 5, 6, 7, 8, 9, 3],
        [0, 0, 0, 0, 0, 0, 0],
    ],
    np.int32,
)


def masked(layer, after=lambda x: x):
    ids = keras.Input((TIME,), dtype="int32", name="ids")
    table = keras.initializers.RandomUniform(-2, 2, seed=1)
    return keras.Model(ids, after(layer(K.Embedding(10, 3, embeddings_initializer=table, mask_zero=True)(ids))))


LAYERS = {
    "last": lambda: masked(K.LSTM(4)),
    "sequence": lambda: masked(K.LSTM(4, return_sequences=True)),
    "backward": lambda: masked(tfpar.layers.LSTM(4, return_sequences=True, go_backwards=True)),
    "bidirectional": lambda: masked(K.Bidirectional(K.LSTM(4, return_sequences=True))),
    "zeros": lambda: masked(tfpar.layers.LSTM(4, return_sequences=True, zero_output_for_mask=True)),
    "two": lambda: masked(K.LSTM(4, return_sequences=True), K.LSTM(3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_the_fused_form_follows_any_mask(name, tmp_path):
    model = LAYERS[name]()
    report = tfpar.export.tflite(model, tmp_path / "m.tflite")
    assert report["form"] == "fused"
    file = tfpar.export.TFLiteModel(tmp_path / "m.tflite")
    for row in IDS:
        (found,) = file(ids=row[None]).values()
        np.testing.assert_allclose(found, model(row[None]), atol=1e-6)


def test_the_cheaper_form_is_for_padding_at_the_right(tmp_path):
    model = LAYERS["last"]()
    cheap = tfpar.export.tflite(model, tmp_path / "cheap.tflite", padding="right")
    assert cheap["bytes"] < tfpar.export.tflite(model, tmp_path / "any.tflite")["bytes"]
    file = tfpar.export.TFLiteModel(tmp_path / "cheap.tflite")
    for row in IDS[[1, 3, 4]]:
        np.testing.assert_allclose(next(iter(file(ids=row[None]).values())), model(row[None]), atol=1e-6)
    with pytest.raises(
        UserError, match="rows that are padded at the left or have gaps, which padding='right' excludes"
    ):
        tfpar.export.tflite(model, tmp_path / "m.tflite", padding="right", form="fused", calibration=IDS)
    with pytest.raises(ValueError, match="padding"):
        tfpar.export.tflite(model, tmp_path / "m.tflite", padding="left")


def test_a_stream_steps_over_masked_steps(tmp_path):
    report = tfpar.export.tflite(masked(K.LSTM(4)), tmp_path / "m.tflite", streaming=True)
    assert report["max_abs_error"] < 1e-6


def test_rows_are_compared_with_every_kind_of_padding():
    model = masked(K.LSTM(4))
    rows = rows_to_compare(model, sample_inputs(model, None, None))
    masks = {row.kind: row.inputs["ids"][0] != 0 for row in rows}
    assert set(masks) == {"example", "right-padded", "left-padded", "gapped", "fully masked"}
    assert masks["left-padded"].tolist() == [False] * 3 + [True] * 4
    assert not masks["fully masked"].any() and masks["example"].all()
    floats = keras.Input((TIME, 2), name="x")
    sensor = keras.Model(floats, K.LSTM(3)(K.Masking(-1.0)(floats)))
    (last,) = [row for row in rows_to_compare(sensor, sample_inputs(sensor, None)) if row.kind == "fully masked"]
    assert (last.inputs["x"] == -1).all()
