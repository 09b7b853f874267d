"""Results that XLA keeps in memory, and so how many kernels it runs in each turn of a loop.

XLA for CPUs runs a loop's body of at most eight kernels one after another, and hands a longer one to a pool of threads,
which takes longer than a step of a small layer does. It also computes what is cheap once in each kernel that uses it:
a kernel that reads old values then may run after the one that should take their place, and the old ones are copied
first. What is materialized is computed by one kernel, and its users come after it.
"""

from collections.abc import Callable

import tensorflow as tf

Materialized = Callable[[tf.Tensor], tf.Tensor]


def materializer(counter: tf.Tensor) -> Materialized:
    """A function that returns the float tensor that it is given; XLA for CPUs computes it just once.

    It divides by one, which changes no value. XLA computes no division twice, and does not see that this one is by one,
    which it makes of a loop's counter, int32 and at least -1.
    """
    one = tf.maximum(1, -counter)
    return lambda result: result / tf.cast(one, result.dtype)


def as_it_is(result: tf.Tensor) -> tf.Tensor:
    """Materializes nothing."""
    return result
