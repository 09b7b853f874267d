"""Scores of words and bigrams, from their equations."""

import numpy as np
import pytest

from tfpar.tasks.text_classification import compute_log_odds, find_frequent_bigrams, make_ngram_ids

SEQUENCES = [np.array(s) for s in ([2, 3, 2, 3], [3, 2, 3], [1, 2, 0, 2], [4, 4, 4], [4, 1])]


def test_bigrams_of_known_tokens_by_their_number():
    assert find_frequent_bigrams(SEQUENCES, 2).tolist() == [[2, 3], [3, 2], [4, 4]]
    assert find_frequent_bigrams(SEQUENCES, 3).tolist() == [[2, 3]]
    assert find_frequent_bigrams(SEQUENCES, 9).shape == (0, 2)


def test_ids_of_bigrams_follow_those_of_tokens():
    found = make_ngram_ids(SEQUENCES, np.array([[2, 3], [4, 4]]), vocabulary_size=5)
    assert [ids.tolist() for ids in found[:2]] == [[2, 3, 2, 3, 5, 5], [3, 2, 3, 5]]
    assert found[3].tolist() == [4, 4, 4, 6, 6] and found[4].tolist() == [4, 1]


@pytest.mark.parametrize("labels", [[0, 1, 1, 0, 1], [0, 1, 2, 0, 2]], ids=["two_classes", "three"])
def test_log_odds(labels):
    classes = max(labels) + 1
    scores = compute_log_odds(SEQUENCES, labels, vocabulary_size=5, num_classes=classes)
    assert scores.shape == (5, 1 if classes == 2 else classes) and not scores[:2].any()
    holds = np.array([[token in s for token in range(5)] for s in SEQUENCES])
    for column, k in enumerate([1] if classes == 2 else range(classes)):
        inside = 1 + holds[np.array(labels) == k].sum(axis=0)
        # Each of the other classes is smoothed by itself.
        outside = classes - 1 + holds[np.array(labels) != k].sum(axis=0)
        expected = np.log(inside / inside.sum() / (outside / outside.sum()))
        np.testing.assert_allclose(scores[2:, column], expected[2:], rtol=1e-5)
