"""Sequences in batches of few shapes: each once, in front of zeros."""

import numpy as np

from tfpar.data import padded_batches


def test_each_sequence_comes_once():
    sequences = [np.arange(1, length + 1) for length in (3, 17, 1, 8, 9)]
    seen = {}
    for places, padded in padded_batches(sequences, batch_size=2):
        assert padded.shape[0] == 2 and padded.shape[1] % 8 == 0 and padded.dtype == np.int32
        for place, row in zip(places, padded, strict=False):
            assert place not in seen
            seen[place] = row[row > 0].tolist()
    assert seen == {place: ids.tolist() for place, ids in enumerate(sequences)}


def test_nothing():
    assert list(padded_batches([], batch_size=2)) == []
