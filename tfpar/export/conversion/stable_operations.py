"""Operations that TFLite's converter would lower to forms that overflow, in forms that do not.

The converter lowers softplus(x) to log(1 + exp(x)), which is infinite for x above 88.
"""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from tfpar.contexts import attributes_set
from tfpar.ops.activations import inference_softplus


def softplus(features: tf.Tensor, name: str | None = None) -> tf.Tensor:
    """Compute log(1 + exp(x)), with the arguments of TensorFlow's."""
    return tf.identity(inference_softplus(features), name=name)


def log_sigmoid(x: tf.Tensor, name: str | None = None) -> tf.Tensor:
    """Compute log(sigmoid(x))."""
    return tf.negative(softplus(-tf.convert_to_tensor(x)), name=name)


@contextlib.contextmanager
def stable_operations() -> Iterator[None]:
    """Within this context `tf.nn` and `tf.math`, and so Keras, have the operations of this module."""
    operations = {"softplus": softplus, "log_sigmoid": log_sigmoid}
    with attributes_set(tf.nn, {"softplus": softplus}), attributes_set(tf.math, operations):
        yield
