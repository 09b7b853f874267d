"""Which batches cuDNN can run: the decision alone, without cuDNN."""

import pytest
import tensorflow as tf

from tfpar.ops.cudnn import can_run

MASKS = [
    ([[1, 1, 1], [1, 1, 1]], True),
    ([[1, 1, 0], [1, 0, 0]], True),
    ([[1, 1, 0], [0, 0, 0]], True),
    ([[0, 0, 0], [0, 0, 0]], True),
    ([[1, 1, 0], [0, 1, 1]], False),
    ([[1, 0, 1], [1, 1, 1]], False),
    ([[0, 1, 0], [1, 0, 0]], False),
]


@pytest.mark.parametrize("mask, expected", MASKS)
def test_padding_stands_at_the_right_alone(mask, expected):
    assert bool(can_run(tf.zeros((2, 3, 4)), tf.cast(mask, tf.bool))) is expected


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4)], ids=["no_rows", "no_steps"])
def test_a_batch_with_nothing_in_it_is_not_for_cudnn(shape):
    mask = tf.ones(shape[:2], tf.bool)
    assert can_run(tf.zeros(shape), None) is False and can_run(tf.zeros(shape), mask) is False
    specs = tf.TensorSpec((None, None, 4)), tf.TensorSpec((None, None), tf.bool)
    unmasked = tf.function(lambda x: can_run(x, None), autograph=False, input_signature=specs[:1])
    masked = tf.function(can_run, autograph=False, input_signature=specs)
    assert not unmasked(tf.zeros(shape)) and not masked(tf.zeros(shape), mask)
    assert unmasked(tf.zeros((1, 1, 4))) and masked(tf.zeros((1, 1, 4)), tf.ones((1, 1), tf.bool))


def test_static_shapes_tell_without_a_tensor():
    assert can_run(tf.zeros((2, 3, 4)), None) is True
