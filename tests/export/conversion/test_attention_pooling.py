"""Attention pooling in 8 bits: hiding the padding must not cost the scores their precision."""

import keras
import numpy as np

import tfpar
from tfpar.export.conversion.interpreter import TFLiteModel


def test_int8_follows_keras(rows, tmp_path):
    keras.utils.set_random_seed(1)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    table = keras.initializers.RandomUniform(-1, 1, seed=1)
    x = keras.layers.Embedding(20, 16, embeddings_initializer=table, mask_zero=True)(tokens)
    model = keras.Model(tokens, keras.layers.Dense(3, name="logits")(tfpar.layers.AttentionPooling(16)(x)))
    tfpar.export.tflite(model, tmp_path / "model.tflite", quantize="int8", calibration={"tokens": rows})
    file = TFLiteModel(tmp_path / "model.tflite")
    found, expected = np.concatenate([file(tokens=row[None])["logits"] for row in rows]), np.asarray(model(rows))
    for column in range(3):
        assert np.corrcoef(found[:, column], expected[:, column])[0, 1] > 0.98
