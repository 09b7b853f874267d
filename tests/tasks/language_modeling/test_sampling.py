"""Drawing the next character from logits."""

import math

import numpy as np
import pytest

from tfpar.tasks.language_modeling.scores import mean_loss, score_loss
from tfpar.tasks.language_modeling.token_stream import sample_token

LOGITS = np.log(np.array([0.9, 0.9, 0.1, 0.6, 0.3], np.float32))


def frequencies(**options):
    generator = np.random.default_rng(0)
    draws = [sample_token(LOGITS, generator, **options) for _ in range(4000)]
    return np.bincount(draws, minlength=5) / len(draws)


def test_draws_follow_the_probabilities_without_special_tokens():
    np.testing.assert_allclose(frequencies(), [0, 0, 0.1, 0.6, 0.3], atol=0.03)
    squares = np.array([0, 0, 0.01, 0.36, 0.09])
    np.testing.assert_allclose(frequencies(temperature=0.5), squares / squares.sum(), atol=0.03)


def test_the_most_probable_ones():
    np.testing.assert_allclose(frequencies(top_k=2), [0, 0, 0, 2 / 3, 1 / 3], atol=0.03)
    assert frequencies(top_k=1)[3] == frequencies(temperature=0)[3] == 1
    np.testing.assert_allclose(frequencies(top_k=99), frequencies())


def test_a_tiny_temperature_does_not_overflow():
    assert sample_token(LOGITS * 1000, np.random.default_rng(0), temperature=1e-6) == 3


def test_scores():
    logits, tokens = np.log([[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]) + 7, np.array([0, 2])
    loss = mean_loss(logits, tokens)
    assert loss == pytest.approx(-(math.log(0.5) + math.log(0.8)) / 2)
    scores = score_loss(loss)
    assert scores["perplexity"] == pytest.approx(math.exp(loss)) and scores["bits_per_character"] == loss / math.log(2)
