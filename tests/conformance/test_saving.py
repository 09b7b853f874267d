"""Models with these layers go to a `.keras` file and come back without custom objects."""

import keras
import numpy as np
import pytest
from table import ROWS, inputs

from tfpar import layers


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_save_and_load(row, tmp_path):
    x = keras.Input((None, 4))
    model = keras.Model(x, row.make(layers, dropout=0.1)(keras.layers.Masking()(x)))
    generator = np.random.default_rng(0)
    model.set_weights([generator.normal(size=w.shape) for w in model.get_weights()])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    padded = inputs()
    padded[:, 3:] = 0
    for ours, theirs in zip(*(tuple(np.atleast_2d(m.predict_on_batch(padded))) for m in (model, loaded)), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in model.layers]
