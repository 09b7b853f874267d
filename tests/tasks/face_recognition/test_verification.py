"""Equal error rates."""

import numpy as np
import pytest

from tfpar.tasks.face_recognition.predict import average_directions
from tfpar.tasks.face_recognition.verification import equal_error_rate, error_rates, pair_cosines


def test_pairs():
    embeddings, labels = np.array([[1, 0], [0, 1], [0.6, 0.8]]), np.array([0, 1, 0])
    genuine, impostor = pair_cosines(embeddings, labels)
    np.testing.assert_allclose(genuine, [0.6])
    np.testing.assert_allclose(impostor, [0, 0.8])


def test_perfect_and_useless_embeddings():
    assert equal_error_rate(np.array([0.8, 0.9]), np.array([0.1, 0.2]))[0] == 0
    assert equal_error_rate(np.full(5, 0.5), np.full(7, 0.5))[0] == pytest.approx(0.5)


def test_rates_are_those_of_the_rule():
    random = np.random.default_rng(0)
    genuine, impostor = random.normal(0.5, 0.2, 300), random.normal(0.0, 0.2, 2000)
    rate, threshold = equal_error_rate(genuine, impostor)
    assert rate == pytest.approx((np.mean(genuine < threshold) + np.mean(impostor >= threshold)) / 2)
    assert rate == pytest.approx(0.1056, abs=0.02)  # of two normal distributions, 2.5 deviations apart
    thresholds, rejected, accepted = error_rates(genuine, impostor)
    assert (np.diff(rejected) >= 0).all() and (np.diff(accepted) <= 0).all() and len(thresholds) == 2300


def test_no_pairs_are_refused():
    with pytest.raises(ValueError, match="got 0 and 3"):
        equal_error_rate(np.array([]), np.zeros(3))


def test_averaged_embeddings_have_length_one():
    random = np.random.default_rng(0)
    one, mirrored = random.normal(size=(2, 4, 3))
    both = average_directions(one, mirrored)
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), 1)
    np.testing.assert_allclose(np.cross(both, one + mirrored), 0, atol=1e-12)
