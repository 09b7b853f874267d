"""CTC against a sum over all alignments, written out."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfpar.ops.ctc import ctc_loss
from tfpar.train import CTCLoss


def logits(batch=3, steps=5, classes=3):
    return np.random.default_rng(0).normal(size=(batch, steps, classes)).astype(np.float32)


def collapsed(path):
    """Remove repeats and blanks from a path."""
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)


def by_all_paths(log_probabilities, string):
    steps, classes = log_probabilities.shape
    paths = (p for p in itertools.product(range(classes), repeat=steps) if collapsed(p) == string)
    return -np.log(sum(np.exp(sum(log_probabilities[t, s] for t, s in enumerate(path))) for path in paths))


def test_equals_the_sum_over_all_alignments():
    log_probabilities = tf.nn.log_softmax(logits()).numpy()
    labels = np.array([[1, 1, 0], [2, 1, 2], [2, 0, 0]])
    expected = [
        by_all_paths(row, tuple(label for label in string if label))
        for row, string in zip(log_probabilities, labels.tolist(), strict=True)
    ]
    for run in (ctc_loss, tf.function(ctc_loss, jit_compile=True)):
        np.testing.assert_allclose(run(log_probabilities, tf.constant(labels)), expected, rtol=1e-5)


def test_an_empty_string_is_all_blanks():
    log_probabilities = tf.nn.log_softmax(logits())
    expected = -log_probabilities[:, :, 0].numpy().sum(axis=1)
    np.testing.assert_allclose(ctc_loss(log_probabilities, tf.zeros((3, 2), tf.int32)), expected, rtol=1e-5)


def test_the_gradient_is_that_of_finite_differences():
    values, labels = tf.constant(logits()), tf.constant([[1, 2], [1, 1], [2, 0]])

    def loss(x):
        return tf.reduce_sum(ctc_loss(tf.nn.log_softmax(x), labels))

    with tf.GradientTape() as tape:
        tape.watch(values)
        value = loss(values)
    gradient = tape.gradient(value, values).numpy()
    for place in ((0, 1, 2), (1, 4, 0), (2, 0, 1)):
        step = np.zeros(values.shape, np.float32)
        step[place] = 1e-2
        difference = (loss(values + step) - loss(values - step)) / 2e-2
        assert gradient[place] == pytest.approx(float(difference), abs=2e-3)


def test_a_string_that_is_too_long_is_finite():
    loss = CTCLoss()(np.array([[1, 1, 1, 1]]), logits(batch=1, steps=5))
    assert 1e4 < float(loss) < 1e6
