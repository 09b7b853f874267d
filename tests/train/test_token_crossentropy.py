"""The smoothed cross-entropy of tokens equals Keras' of one-hot vectors, averaged over tokens."""

import keras
import numpy as np
import pytest

from tfpar.train import TokenCrossentropy

GENERATOR = np.random.default_rng(0)
LOGITS = 3 * GENERATOR.normal(size=(2, 3, 5)).astype(np.float32)
TOKENS = GENERATOR.integers(0, 5, (2, 3))
WEIGHTS = np.array([[1, 1, 1], [1, 0, 0]], np.float32)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equals_keras(smoothing):
    keras_loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing, reduction=None)
    expected = np.asarray(keras_loss(np.eye(5)[TOKENS], LOGITS))
    loss = TokenCrossentropy(smoothing)
    np.testing.assert_allclose(loss.call(TOKENS, LOGITS), expected, rtol=1e-5)
    found = loss(TOKENS, LOGITS, sample_weight=WEIGHTS)
    assert float(found) == pytest.approx((expected * WEIGHTS).sum() / WEIGHTS.sum(), rel=1e-5)


def test_config():
    assert TokenCrossentropy.from_config(TokenCrossentropy(0.2).get_config()).label_smoothing == 0.2
