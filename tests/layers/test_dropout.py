"""`Dropout`: rates, seeds, and when it acts."""

import numpy as np
import pytest
import tensorflow as tf

from tfpar.layers import Dropout

ONES = np.ones((200, 50), "float32")


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_rate_and_scale(rate):
    values = Dropout(rate, seed=1)(ONES, training=True).numpy()
    assert (values == 0).mean() == pytest.approx(rate, abs=0.02)
    np.testing.assert_allclose(values[values != 0], 1 / (1 - rate), rtol=1e-5)


def test_acts_in_training_alone():
    np.testing.assert_array_equal(Dropout(0.5)(ONES), ONES)
    np.testing.assert_array_equal(Dropout(0.0)(ONES, training=True), ONES)


def test_seeds():
    first, second = Dropout(0.5, seed=1), Dropout(0.5, seed=1)
    draws = [first(ONES, training=True).numpy() for _ in range(2)]
    assert (draws[0] != draws[1]).any()
    np.testing.assert_array_equal(draws, [second(ONES, training=True).numpy() for _ in range(2)])
    assert (Dropout(0.5, seed=2)(ONES, training=True).numpy() != draws[0]).any()


def test_gradient_flows_where_values_do():
    x = tf.constant(ONES)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = Dropout(0.5, seed=1)(x, training=True)
    np.testing.assert_array_equal(tape.gradient(y, x), y)


@pytest.mark.parametrize("shape", [(3,), (3, 4, 5)])
def test_any_rank_and_type(shape):
    for dtype in ("float16", "bfloat16", "float32"):
        layer = Dropout(0.5, seed=1, dtype=dtype)
        y = layer(tf.ones(shape, dtype), training=True)
        assert y.dtype == dtype and set(np.unique(np.asarray(y, "float32"))) <= {0, 2}


@pytest.mark.parametrize("rate", [1, -0.1, "much", None])
def test_refuses(rate):
    with pytest.raises(ValueError, match=r"argument `rate`, expected a number in \[0, 1\)"):
        Dropout(rate)


def test_configuration():
    config = Dropout(0.3, seed=5, name="d").get_config()
    assert Dropout.from_config(config).get_config() == config
