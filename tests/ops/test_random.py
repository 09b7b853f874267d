"""Random numbers by index: uniform, independent, and equal on any number of replicas."""

import numpy as np
import pytest
import tensorflow as tf
from running import WAYS

from tfpar.ops.random import uniform

SEED = tf.constant([3, 7])


def draw(rows=1000, row_shape=(100,), seed=SEED, first_row=0):
    return uniform(tf.constant(rows), row_shape, tf.constant(seed), first_row).numpy()


def test_range_and_moments():
    numbers = draw()
    assert numbers.dtype == np.float32 and numbers.shape == (1000, 100)
    assert numbers.min() >= 0 and numbers.max() < 1
    assert numbers.mean() == pytest.approx(1 / 2, abs=0.004)
    assert numbers.var() == pytest.approx(1 / 12, abs=0.001)


@pytest.mark.parametrize("seed", [[0, 0], [1, 0], [0, 1], [2**31 - 1, 12345]])
def test_equally_often_everywhere(seed):
    counts = np.histogram(draw(seed=seed), bins=100, range=(0, 1))[0]
    chi_squared = ((counts - 1000) ** 2 / 1000).sum()
    assert 60 < chi_squared < 150  # 99 on average, 14 its standard deviation


def correlation(left, right):
    return abs(np.corrcoef(left.ravel(), right.ravel())[0, 1])


@pytest.mark.parametrize("lag", [1, 2, 3, 16, 100, 128])
def test_neighbours_are_unrelated(lag):
    numbers = draw().ravel()
    assert correlation(numbers[:-lag], numbers[lag:]) < 0.015


@pytest.mark.parametrize("other", [[3, 8], [4, 7], [7, 3], [3, 7 + 2**16], [3 + 2**16, 7]])
def test_seeds_are_unrelated(other):
    numbers, others = draw(), draw(seed=other)
    assert correlation(numbers, others) < 0.015
    assert correlation(numbers.ravel()[1:], others.ravel()[:-1]) < 0.015


def test_rows_depend_on_their_place_alone():
    whole = draw(8, (2, 3))
    np.testing.assert_array_equal(np.concatenate([draw(3, (2, 3)), draw(5, (2, 3), first_row=3)]), whole)


@pytest.mark.parametrize("way", ["graph", "xla"])
def test_compiled_or_not(way):
    function = WAYS[way](lambda seed: uniform(tf.constant(9), (4,), seed))
    np.testing.assert_array_equal(function(SEED), draw(9, (4,)))
