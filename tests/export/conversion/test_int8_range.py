"""8-bit LSTMs and what calibration saw of them."""

import keras
import numpy as np

import tfpar
from tfpar.export.conversion.interpreter import TFLiteModel


def test_cells_far_below_one_still_have_outputs(tmp_path):
    # TFLite's kernel has no tanh for 16-bit cells with a range below 1, without an error.
    generator = np.random.default_rng(0)
    rows = {"features": generator.normal(0, 0.05, (32, 5, 8)).astype(np.float32)}
    keras.utils.set_random_seed(3)
    features = keras.Input((5, 8), name="features")
    model = keras.Model(features, keras.layers.Dense(1, name="score")(tfpar.layers.LSTM(16)(features)))
    tfpar.export.tflite(model, tmp_path / "m.tflite", quantize="int8", calibration=rows)
    file = TFLiteModel(tmp_path / "m.tflite")
    found = [float(file(features=row[None])["score"][0, 0]) for row in rows["features"]]
    assert np.corrcoef(found, np.asarray(model(rows["features"]))[:, 0])[0, 1] > 0.98
