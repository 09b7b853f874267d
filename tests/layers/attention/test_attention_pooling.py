"""Attention pooling, from its equations."""

import keras
import numpy as np
from running import forward_and_gradients

from tfpar.layers import AttentionPooling

X = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("float32")
MASK = np.array([[1, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool)


def built():
    layer = AttentionPooling(2)
    layer.build((None, None, 5))
    layer.set_weights([np.random.default_rng(1).normal(size=w.shape) for w in layer.get_weights()])
    return layer


def expected(layer, mask):
    kernel, bias, v = (w.astype("float64") for w in layer.get_weights())
    pooled = np.zeros((3, 5))
    for row in range(3):
        steps = [t for t in range(4) if mask[row, t]]
        scores = np.array([np.tanh(X[row, t] @ kernel + bias) @ v[:, 0] for t in steps])
        weights = np.exp(scores) / np.exp(scores).sum()
        pooled[row] = sum((a * X[row, t] for a, t in zip(weights, steps, strict=True)), np.zeros(5))
    return pooled


def test_equations():
    layer = built()
    np.testing.assert_allclose(layer(X), expected(layer, np.ones_like(MASK)), atol=1e-6)
    np.testing.assert_allclose(layer(X, mask=MASK), expected(layer, MASK), atol=1e-6)


def test_masked_steps_have_no_part():
    layer, other = built(), X.copy()
    other[~MASK] = 50
    np.testing.assert_allclose(layer(other, mask=MASK), layer(X, mask=MASK), atol=1e-6)
    _, (by_x, *_) = forward_and_gradients(layer, X, mask=MASK)
    assert not by_x[~MASK].any() and np.isfinite(by_x).all()


def test_finite_in_float16():
    layer = AttentionPooling(2, dtype="mixed_float16")
    assert np.isfinite(layer(X.astype("float16"), mask=MASK).numpy()).all()


def test_ends_the_mask_and_round_trips():
    sequences = keras.Input((None, 5))
    pooled = built()(keras.layers.Masking()(sequences))
    assert pooled.shape == (None, 5) and getattr(pooled, "_keras_mask", None) is None
    assert AttentionPooling.from_config(built().get_config()).units == 2
