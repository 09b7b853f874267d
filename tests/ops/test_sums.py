"""Sums of squares: NumPy's in double precision, and what XLA makes of them."""

import math
import re

import numpy as np
import pytest
import tensorflow as tf

from tfpar.ops.sums import sum_of_squares

pytestmark = pytest.mark.timeout(60)


def window_outputs(function, shape):
    """Elements that come out of the program's sums by windows."""
    compiled = tf.function(function, jit_compile=True)
    program = compiled.experimental_get_compiler_ir(tf.zeros(shape))(stage="optimized_hlo")
    shapes = re.findall(r"= f32\[([0-9,]+)\]\S* reduce-window\(", program)
    return [math.prod(map(int, shape.split(","))) for shape in shapes]


@pytest.mark.parametrize("shape", [(), (1,), (31,), (32,), (33,), (1023, 3), (64, 64), (2, 3, 5, 7), (0, 4)])
def test_all_elements_are_squared_and_added(shape):
    values = np.random.default_rng(0).normal(3, 2, size=shape).astype("float32")
    assert float(sum_of_squares(tf.constant(values))) == pytest.approx(np.sum(values.astype("float64") ** 2), rel=1e-6)


def test_what_is_no_number_remains_none():
    assert not np.isfinite(sum_of_squares(tf.constant([1.0] * 99 + [np.inf])))
    assert np.isnan(sum_of_squares(tf.constant([np.nan] + [1.0] * 99)))


def test_a_large_table_is_not_summed_one_element_after_another():
    assert max(window_outputs(lambda x: tf.reduce_sum(tf.square(x)), (9000, 64))) > 500, "XLA needs no help any more"
    assert max(window_outputs(sum_of_squares, (9000, 64)), default=0) < 50
