"""Outputs at masked steps, lengths, and gathered steps."""

import numpy as np
import tensorflow as tf

from tfpar.ops.masking import mask_last_output, mask_outputs, take_steps, valid_lengths

SEQUENCE = tf.reshape(tf.range(1.0, 9.0), (4, 2, 1))
MASK = tf.constant([[False, True], [True, False], [False, False], [True, False]])


def test_outputs_are_hidden_before_the_first_valid_step():
    shown = mask_outputs(SEQUENCE, MASK, zero_output_for_mask=False)
    np.testing.assert_array_equal(shown[:, :, 0], [[0, 2], [3, 4], [5, 6], [7, 8]])


def test_or_wherever_masked():
    shown = mask_outputs(SEQUENCE, MASK, zero_output_for_mask=True)
    np.testing.assert_array_equal(shown[:, :, 0], [[0, 2], [3, 0], [0, 0], [7, 0]])


def test_backwards_the_last_step_comes_first():
    shown = mask_outputs(SEQUENCE, MASK, zero_output_for_mask=False, go_backwards=True)
    np.testing.assert_array_equal(shown[:, :, 0], [[1, 2], [3, 0], [5, 0], [7, 0]])
    for zero, expected in ((False, [[1], [2]]), (True, [[0], [2]])):
        np.testing.assert_array_equal(mask_last_output(SEQUENCE[0], MASK, zero, go_backwards=True), expected)


def test_last_output_is_the_last_of_the_outputs():
    for zero in (False, True):
        expected = mask_outputs(SEQUENCE, MASK, zero)[-1]
        np.testing.assert_array_equal(mask_last_output(SEQUENCE[-1], MASK, zero), expected)
    nothing = tf.zeros_like(MASK)
    np.testing.assert_array_equal(mask_last_output(SEQUENCE[-1], nothing, False), [[0], [0]])


def test_lengths():
    np.testing.assert_array_equal(valid_lengths(tf.transpose(MASK)), [2, 1])


def test_steps_are_taken_row_by_row_and_before_the_first_there_is_the_first():
    taken = take_steps(tf.transpose(SEQUENCE, [1, 0, 2]), tf.constant([[-1, 0, 3], [3, 1, -9]]))
    np.testing.assert_array_equal(taken[:, :, 0], [[1, 1, 7], [8, 4, 2]])
