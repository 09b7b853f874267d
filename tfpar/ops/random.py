"""Random numbers that are functions of a seed and of their index in the global batch.

TensorFlow's generators give other numbers with XLA than without, and start each batch at index 0 wherever its rows are
in the global batch. Under XLA for CPUs they take 0.3 microseconds for a number, more than the rest of a small network's
step. Dropout needs no cryptography, so each number is a hash of its index.

References:
    Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3 (counter-based generators).
    Appleby's MurmurHash3, whose finalizer is the hash.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_GOLDEN_RATIO = 0x9E3779B9


def uniform(
    rows: tf.Tensor,
    row_shape: Sequence[int | tf.Tensor],
    seed: tf.Tensor,
    first_row: int | tf.Tensor = 0,
    first_step: int | tf.Tensor = 0,
    steps: int | tf.Tensor | None = None,
) -> tf.Tensor:
    """Draw numbers in [0, 1).

    Args:
        rows: int32 scalar, number of rows.
        row_shape: shape of each row.
        seed: integers (2,), as from a `keras.random.SeedGenerator`.
        first_row: index of the first row in the global batch.
        first_step: index of the first step in the whole sequence, if `row_shape` is of some of its steps.
        steps: number of steps of the whole sequence; None: `row_shape` is of all.

    Returns:
        float32 (rows, *row_shape). Row r of a call with `first_row=n` is row n + r of a call without, and step t of a
        call with `first_step=n` is step n + t of one without.
    """
    row_size = tf.reduce_prod(tf.cast(tf.stack([1, *row_shape]), tf.int32))
    if steps is None:
        index = tf.range(rows * row_size) + first_row * row_size
    else:
        step_size = tf.reduce_prod(tf.cast(tf.stack([1, *row_shape[1:]]), tf.int32))
        begins = (tf.range(rows) + first_row) * steps * step_size + first_step * step_size
        index = tf.reshape(begins[:, None] + tf.range(row_size), [-1])
    key, counter = tf.unstack(tf.cast(seed, tf.uint32))
    stream = hash_bits(key * _uint32(_GOLDEN_RATIO) + _uint32(1))
    bits = hash_bits(_xor(hash_bits(tf.cast(index, tf.uint32) + stream), hash_bits(_xor(counter, stream))))
    numbers = tf.cast(_shift_right(bits, 8), tf.float32) * np.float32(2**-24)
    return tf.reshape(numbers, tf.stack([rows, *row_shape]))


def hash_bits(x: tf.Tensor) -> tf.Tensor:
    """Mix the bits of uint32 numbers, so that each bit of the result depends on all of them."""
    x = _xor(x, _shift_right(x, 16)) * _uint32(0x85EBCA6B)
    x = _xor(x, _shift_right(x, 13)) * _uint32(0xC2B2AE35)
    return _xor(x, _shift_right(x, 16))


def _uint32(number):
    return tf.constant(number, tf.uint32)


def _xor(x, y):
    return tf.bitwise.bitwise_xor(x, y)


def _shift_right(x, bits):
    return tf.bitwise.right_shift(x, _uint32(bits))
