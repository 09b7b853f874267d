"""Pooling over valid steps."""

import keras
import numpy as np
import pytest
from running import forward_and_gradients

from tfpar.layers import MaxPooling, MeanPooling

X = np.random.default_rng(0).normal(size=(3, 4, 2)).astype("float32") - 3
MASK = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]], bool)
POOLINGS = {"max": (MaxPooling, np.max), "mean": (MeanPooling, np.mean)}


@pytest.mark.parametrize("name", POOLINGS)
def test_over_valid_steps(name):
    layer, function = POOLINGS[name]
    np.testing.assert_allclose(layer()(X), function(X, axis=1), atol=1e-6)
    rows = [function(x[valid], axis=0) if valid.any() else np.zeros(2) for x, valid in zip(X, MASK, strict=True)]
    np.testing.assert_allclose(layer()(X, mask=MASK), rows, atol=1e-6)


@pytest.mark.parametrize("name", POOLINGS)
def test_masked_steps_have_no_part(name):
    layer = POOLINGS[name][0]()
    for garbage in (-1e6, 1e6):
        other = np.where(MASK[:, :, None], X, np.float32(garbage))
        np.testing.assert_allclose(layer(other, mask=MASK), layer(X, mask=MASK), atol=1e-6)
    _, (by_x,) = forward_and_gradients(layer, X, mask=MASK)
    assert not by_x[~MASK].any() and by_x[2].any()


@pytest.mark.parametrize("name", POOLINGS)
def test_ends_the_mask(name):
    pooled = POOLINGS[name][0]()(keras.layers.Masking()(keras.Input((None, 2))))
    assert pooled.shape == (None, 2) and getattr(pooled, "_keras_mask", None) is None
