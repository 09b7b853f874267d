"""8-bit LSTMs and what calibration saw of them."""

import keras
import numpy as np

import tfpar
from tfpar.export.interpreter import TFLiteModel


def test_cells_far_below_one_still_answer(tmp_path):
    # TFLite's kernel has no tanh for 16-bit cells with a range below 1, and says nothing.
    generator = np.random.default_rng(0)
    rows = {"features": generator.normal(0, 0.05, (32, 5, 8)).astype(np.float32)}
    keras.utils.set_random_seed(3)
    features = keras.Input((5, 8), name="features")
    model = keras.Model(features, keras.layers.Dense(1, name="score")(tfpar.layers.LSTM(16)(features)))
    tfpar.export.tflite(model, tmp_path / "m.tflite", quantize="int8", calibration=rows)
    file = TFLiteModel(tmp_path / "m.tflite")
    found = [float(file(features=row[None])["score"][0, 0]) for row in rows["features"]]
    assert np.corrcoef(found, np.asarray(model(rows["features"]))[:, 0])[0, 1] > 0.98


def test_behind_a_mask_and_in_front_of_a_pooling(tmp_path, rows):
    # There the converter gives an LSTM's output another scale than the state that it is copied from. And rows of which
    # each begins where the one before left off would be measured for other ranges than theirs.
    keras.utils.set_random_seed(0)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    table = keras.initializers.RandomUniform(-1, 1)
    x = keras.layers.Embedding(20, 32, embeddings_initializer=table, mask_zero=True)(tokens)
    x = tfpar.layers.MaxPooling()(tfpar.layers.LSTM(32, return_sequences=True)(x))
    model = keras.Model(tokens, keras.layers.Dense(3, name="logits")(x))
    tfpar.export.tflite(model, tmp_path / "m.tflite", quantize="int8", calibration={"tokens": rows})
    file = TFLiteModel(tmp_path / "m.tflite")
    found = np.concatenate([file(tokens=row[None])["logits"] for row in rows])
    np.testing.assert_allclose(found, model(rows), rtol=0, atol=0.02)
