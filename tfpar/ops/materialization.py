"""Control over which results XLA keeps in memory, and thus over the number of kernels in a loop's body.

XLA for CPUs runs a loop body of at most eight kernels sequentially, and dispatches a longer one to a thread pool, which
takes longer than a step of a small layer. It also recomputes cheap results in each kernel that uses them: a kernel that
reads old values may then run after the kernel that overwrites them, and XLA copies the old values first. A materialized
result is computed by one kernel, and its users run after that kernel.
"""

from collections.abc import Callable

import tensorflow as tf

Materialize = Callable[[tf.Tensor], tf.Tensor]


def make_materializer(counter: tf.Tensor) -> Materialize:
    """Make an identity function of float tensors whose result XLA for CPUs computes only once.

    It divides by one, which changes no value. XLA (as of TensorFlow 2.21) never duplicates a division, and cannot prove
    that this divisor, max(1, -counter), is one.

    Args:
        counter: int32 scalar, at least -1: the counter of the loop.
    """
    one = tf.maximum(1, -counter)
    return lambda result: result / tf.cast(one, result.dtype)


def identity(result: tf.Tensor) -> tf.Tensor:
    """Return the tensor itself; materializes nothing."""
    return result
