"""Attention equals its equations, sees valid steps alone, and refuses sizes that do not fit."""

import keras
import numpy as np
import pytest

from tfpar.layers import Attention

GENERATOR = np.random.default_rng(0)
QUERY, KEYS = (GENERATOR.normal(size=(3, steps, 8)).astype(np.float32) for steps in (4, 5))
VALUES = GENERATOR.normal(size=(3, 5, 6)).astype(np.float32)
VALID = np.arange(5) < np.array([[5], [2], [1]])


def softmax(scores):
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attended(score, heads, scale=None):
    contexts, alignments = [], []
    for query, keys, values in zip(*(np.split(x, heads, -1) for x in (QUERY, KEYS, VALUES)), strict=True):
        if score == "dot":
            scores = np.einsum("bqf,bsf->bqs", query, keys) / np.sqrt(query.shape[-1])
        else:
            part = np.split(scale, heads)[len(contexts)]
            scores = np.einsum("bqsf,f->bqs", np.tanh(query[:, :, None] + keys[:, None]), part)
        alignments.append(softmax(np.where(VALID[:, None], scores, -np.inf)))
        contexts.append(alignments[-1] @ values)
    return np.concatenate(contexts, -1), np.mean(alignments, axis=0)


@pytest.mark.parametrize("score", ["dot", "additive"])
@pytest.mark.parametrize("heads", [1, 2])
def test_equations(score, heads):
    layer = Attention(score, heads)
    context, alignment = layer(QUERY, KEYS, VALUES, VALID)
    expected = attended(score, heads, *(v.numpy() for v in layer.weights))
    np.testing.assert_allclose(context, expected[0], atol=1e-6)
    np.testing.assert_allclose(alignment, expected[1], atol=1e-6)


@pytest.mark.parametrize("score", ["dot", "additive"])
def test_padding_changes_nothing(score):
    layer = Attention(score, 2)
    longer = [np.concatenate([x, 9 + x[:, :2]], axis=1) for x in (KEYS, VALUES)]
    valid = np.pad(np.ones((3, 5), bool), ((0, 0), (0, 2)))
    np.testing.assert_allclose(layer(QUERY, *longer, valid)[0], layer(QUERY, KEYS, VALUES)[0], atol=1e-6)


def test_config():
    layer = Attention.from_config(Attention("additive", 3, name="a").get_config())
    assert (layer.score, layer.heads, layer.name) == ("additive", 3, "a")


def test_open_sizes():
    inputs = [keras.Input((None, size)) for size in (8, 8, 6)]
    context, alignment = Attention(heads=2)(*inputs)
    assert context.shape == (None, None, 6) and len(alignment.shape) == 3


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda: Attention("product"), "argument `score`"),
        (lambda: Attention(heads=0), "heads"),
        (
            lambda: Attention(heads=4)(QUERY, KEYS, VALUES),
            "`heads` must divide the features of `values`, 6; got heads=4",
        ),
        (lambda: Attention()(QUERY[..., :4], KEYS, VALUES), "`query` and `keys` must have the same number of features"),
    ],
)
def test_refusals(build, words):
    with pytest.raises(ValueError, match=words):
        build()
