"""Beam search in NumPy against all translations of a small language, whose probabilities depend on the last token."""

import itertools

import numpy as np
import pytest

from tfpar.tasks.translation.beam_search import beam_search

BEGIN, END, VOCABULARY, LENGTH = 1, 2, 6, 3
LOG_PROBABILITIES = np.log(np.random.default_rng(0).dirichlet(np.ones(VOCABULARY), VOCABULARY)).astype(np.float32)


def encode(source):
    features = np.zeros((1, source.shape[1], 2), np.float32)
    return {"memory": features, "keys": features, "state": np.zeros((1, 1), np.float32)}


def decode_step(token, source, memory, keys, state):
    alignment = np.full(source.shape, 1 / source.shape[1], np.float32)
    return {"log_probabilities": LOG_PROBABILITIES[token[:, 0]], "alignment": alignment, "new_state": state}


def search(beam_size, **options):
    source = np.ones((1, 4), np.int32)
    sizes = dict(begin_id=BEGIN, end_id=END, beam_size=beam_size, max_length=LENGTH)
    return beam_search(encode, decode_step, source, **sizes, **options)


def rank_all(length_penalty):
    """Ranks of all translations: those that end within `LENGTH` tokens, and those that are cut there."""
    ranks = set()
    for tokens in itertools.product(range(VOCABULARY), repeat=LENGTH):
        length = tokens.index(END) + 1 if END in tokens else LENGTH
        steps = zip((BEGIN, *tokens), tokens[:length], strict=False)
        total = sum(float(LOG_PROBABILITIES[before, after]) for before, after in steps)
        ranks.add(round(total / ((5 + length) / 6) ** length_penalty, 4))
    return sorted(ranks, reverse=True)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_a_wide_beam_finds_the_best_translations_in_order(length_penalty):
    found = [hypothesis.rank for hypothesis in search(VOCABULARY**2, length_penalty=length_penalty)]
    np.testing.assert_allclose(found[:5], rank_all(length_penalty)[:5], atol=1e-3)


def test_a_beam_of_one_takes_the_likeliest_token_at_each_step():
    (found,) = search(1, length_penalty=0.0)
    token, total = BEGIN, 0.0
    for _ in range(LENGTH):
        after = int(LOG_PROBABILITIES[token].argmax())
        total, token = total + float(LOG_PROBABILITIES[token, after]), after
        if token == END:
            break
    assert found.rank == pytest.approx(total, abs=1e-5)
