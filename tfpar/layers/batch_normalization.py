"""`BatchNormalization`: with the statistics of the valid steps of the whole batch, on one replica or on several."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable(package="tfpar")
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalization over the last axis, of which masked steps are no part.

    Keras' layer takes the statistics of each replica's rows if the inputs are masked, also with synchronized=True. This
    one takes those of all replicas, so that a model trains the same on one and on several. The replicas meet in each
    call, which XLA cannot compile; with `tfpar.train.Model.lanes` above 1 each lane has statistics of its own.

    Args:
        momentum: of the moving statistics.
        **kwargs: see `keras.layers.BatchNormalization`; `axis` must be -1, and `renorm` False.

    Call arguments:
        inputs: float (batch, ..., channels).
        training: whether to normalize by the batch, and to update the moving statistics.
        mask: bool (batch, ...), or None.

    Raises:
        ValueError: `axis` or `renorm` is another one.

    References:
        Ioffe & Szegedy 2015, Batch normalization, arXiv:1502.03167.

    Example:

    >>> layer = BatchNormalization(momentum=0.0)
    >>> rows, valid = np.array([[[1.0], [3.0], [9.0]]], "float32"), np.array([[True, True, False]])
    >>> _ = layer(rows, training=True, mask=valid)
    >>> layer.moving_mean.numpy().tolist()
    [2.0]
    """

    def __init__(self, momentum: float = 0.9, **kwargs: Any):
        super().__init__(momentum=momentum, **{**kwargs, "synchronized": True})
        if self.axis != -1 or self.renorm:
            raise ValueError(
                "tfpar.layers.BatchNormalization has the statistics of the last axis alone: `axis` must be -1 "
                f"and `renorm` False; got axis={self.axis}, renorm={self.renorm}. Use keras.layers.BatchNormalization."
            )

    def call(self, inputs: tf.Tensor, training: bool | None = None, mask: tf.Tensor | None = None) -> tf.Tensor:
        if not (training and self.trainable):
            return super().call(inputs, training=False)
        x = ops.cast(inputs, "float32")
        count, mean, variance = _moments(x, mask)
        momentum = ops.where(count > 0, self.momentum, 1.0)
        for statistic, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            statistic.assign(statistic * momentum + value * (1.0 - momentum))
        outputs = ops.batch_normalization(x, mean, variance, -1, self.beta, self.gamma, self.epsilon)
        return ops.cast(outputs, self.compute_dtype)


def _moments(x, mask):
    """Return the number of valid steps of all replicas, and their mean and variance (channels,)."""
    is_valid = ops.ones_like(x[..., :1], "bool") if mask is None else mask[..., None]

    def sum_valid(values):
        return _sum_of_replicas(ops.sum(ops.where(is_valid, values, 0.0), tuple(range(len(x.shape) - 1))))

    count = sum_valid(ops.ones_like(x[..., :1]))
    mean = sum_valid(x) / ops.maximum(count, 1.0)
    return count, mean, sum_valid(ops.square(x - mean)) / ops.maximum(count, 1.0)


def _sum_of_replicas(tensor):
    replica = tf.distribute.get_replica_context()
    if replica is None or replica.num_replicas_in_sync == 1:
        return tensor
    return replica.all_reduce(tf.distribute.ReduceOp.SUM, tensor)
