"""Dropout of inputs and of the recurrence: in training alone, the same at each step, reproducible by its seed."""

import numpy as np
import pytest
import tensorflow as tf
from running import WAYS, assert_all_close, forward_and_gradients
from table import BIDIRECTIONAL, SINGLE, STACKED, built, inputs

from tfpar import layers

KINDS = ("dropout", "recurrent_dropout")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", [*SINGLE, BIDIRECTIONAL[0], *STACKED], ids=str)
def test_only_in_training_and_by_the_seed(row, kind):
    def run(seed, training):
        layer = built(row, layers, seed=seed, **{kind: 0.5})
        return [np.asarray(o) for o in tf.nest.flatten(layer(inputs(), training=training))]

    plain = [np.asarray(o) for o in tf.nest.flatten(built(row, layers)(inputs()))]
    assert_all_close(run(3, False), plain, atol=0, rtol=0)
    trained = run(3, True)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(trained, plain, strict=True))
    assert_all_close(run(3, True), trained, atol=0, rtol=0)
    assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(run(4, True), trained, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", SINGLE, ids=str)
def test_each_batch_draws_anew(row, kind):
    layer = built(row, layers, seed=3, **{kind: 0.5})
    assert np.abs(layer(inputs(), training=True) - layer(inputs(), training=True)).max() > 1e-3


@pytest.mark.parametrize("row", SINGLE, ids=str)
def test_input_dropout_drops_the_rate_of_whole_features_and_keeps_the_mean(row):
    """Seen through the gradient by the input: zero where a feature was dropped."""
    rate, rows = 0.3, 500
    layer = row.make(layers, dropout=rate, seed=1)
    x = np.random.default_rng(0).normal(size=(rows, 3, 4)).astype("float32")
    layer(x)
    _, (by_x, *_) = forward_and_gradients(layer, x, training=True)
    is_dropped = by_x == 0
    np.testing.assert_array_equal(is_dropped, is_dropped[:, :1].repeat(3, axis=1))
    assert is_dropped[:, 0].mean() == pytest.approx(rate, abs=0.04)


@pytest.mark.parametrize("row", SINGLE, ids=str)
def test_recurrent_dropout_touches_nothing_but_the_recurrence(row):
    """The first step comes from zero states, so that nothing can be dropped there; later ones differ."""
    arguments = {"return_sequences": True, "seed": 1}
    dropped = built(row, layers, recurrent_dropout=0.6, **arguments)(inputs(), training=True)
    plain = built(row, layers, **arguments)(inputs())
    assert_all_close([dropped[:, 0]], [plain[:, 0]], atol=1e-6)
    assert np.abs(dropped[:, 1] - plain[:, 1]).max() > 1e-3


@pytest.mark.parametrize("way", ["graph", "xla"])
def test_the_seed_decides_under_compilation_too(way):
    def draws():
        layer = built(SINGLE[1], layers, dropout=0.5, recurrent_dropout=0.5, seed=3)
        function = WAYS[way](lambda x: layer(x, training=True))
        return [np.asarray(function(tf.constant(inputs()))) for _ in range(2)]

    first, second = draws()
    assert np.abs(first - second).max() > 1e-3
    assert_all_close(draws(), [first, second], atol=0, rtol=0)
