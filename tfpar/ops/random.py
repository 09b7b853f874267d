"""Random numbers that depend on a seed and on their place in the global batch, and on nothing else.

TensorFlow's generators draw other numbers under XLA than without it, fill a batch from its first row on wherever the
rows stand in the global batch, and take XLA for CPUs 0.3 microseconds for each number: more than a small network takes
for the rest of its step. Dropout needs no cryptography. Here each number is a hash of its place.

References:
    Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3 (a generator without a state but a counter).
    Appleby's MurmurHash3, whose finalizer is the hash.
"""

import numpy as np
import tensorflow as tf

_GOLDEN_RATIO = 0x9E3779B9


def uniform(rows: tf.Tensor, row_shape, seed: tf.Tensor, first_row=0) -> tf.Tensor:
    """Draws numbers in [0, 1).

    Args:
        rows: int32 scalar, how many rows.
        row_shape: shape of each row.
        seed: integers (2,), such as a `keras.random.SeedGenerator` gives.
        first_row: place of the first row in the global batch.

    Returns:
        float32 (rows, *row_shape). Row r of a call with `first_row=n` is row n + r of a call without.
    """
    row_size = tf.reduce_prod(tf.cast(tf.stack([1, *row_shape]), tf.int32))
    place = tf.range(rows * row_size) + first_row * row_size
    key, counter = tf.unstack(tf.cast(seed, tf.uint32))
    stream = hashed(key * _uint32(_GOLDEN_RATIO) + _uint32(1))
    bits = hashed(_xor(hashed(tf.cast(place, tf.uint32) + stream), hashed(_xor(counter, stream))))
    numbers = tf.cast(_shifted(bits, 8), tf.float32) * np.float32(2**-24)
    return tf.reshape(numbers, tf.stack([rows, *row_shape]))


def hashed(x: tf.Tensor) -> tf.Tensor:
    """Mixes the bits of uint32 numbers, so that each bit of the result depends on all of them."""
    x = _xor(x, _shifted(x, 16)) * _uint32(0x85EBCA6B)
    x = _xor(x, _shifted(x, 13)) * _uint32(0xC2B2AE35)
    return _xor(x, _shifted(x, 16))


def _uint32(number):
    return tf.constant(number, tf.uint32)


def _xor(x, y):
    return tf.bitwise.bitwise_xor(x, y)


def _shifted(x, bits):
    return tf.bitwise.right_shift(x, _uint32(bits))
