"""The front end of speech in files: silence stays finite and a loud tone precise in every format."""

import keras
import numpy as np
import pytest

import tfpar
from tfpar.export.conversion.interpreter import TFLiteModel

TONE = (0.9 * np.sin(2 * np.pi * 100 / 8000 * np.arange(1600))).astype(np.float32)
ROWS = np.stack([TONE, np.zeros_like(TONE), 1e-3 * TONE])


@pytest.mark.parametrize("name", ["float32", "float16", "dynamic"])
@pytest.mark.parametrize("normalization", ["level", "none"])
def test_it_hears_the_same_as_keras(normalization, name, tmp_path):
    audio = keras.Input((1600,), name="audio")
    front_end = tfpar.layers.LogMelSpectrogram(hop=160, hops_per_frame=1, bands=32, normalization=normalization)
    model, path = keras.Model(audio, front_end(audio)), tmp_path / "model.tflite"
    tfpar.export.tflite(model, path, name, calibration={"audio": ROWS})
    file = TFLiteModel(path)
    found = np.concatenate([next(iter(file(audio=row[None]).values())) for row in ROWS])
    np.testing.assert_allclose(found, model.predict(ROWS, verbose=0), atol=5e-3 if name == "float16" else 1e-4)
