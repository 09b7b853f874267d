"""Cross-entropy of class indices with label smoothing."""

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable(package="tfpar")
class SmoothedCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits with label smoothing.

    Args:
        label_smoothing: fraction of the target probability that is spread evenly over the classes, in [0, 1).
        name: of the loss.
        reduction: see `keras.losses.Loss`. The default divides by the sum of the sample weights, so that padding
            rows of weight zero do not change the mean.

    Call arguments:
        y_true: int (batch,), class of each example.
        y_pred: float (batch, classes), logits.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        name: str = "crossentropy",
        reduction: str = "mean_with_sample_weight",
        **kwargs,
    ):
        super().__init__(name=name, reduction=reduction, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return -ops.sum(self.target(y_true, y_pred) * ops.log_softmax(y_pred, axis=-1), axis=-1)

    def target(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Compute the smoothed distribution of each example, float (batch, classes)."""
        return one_hot_like(y_true, y_pred) * (1 - self.label_smoothing) + self.label_smoothing / y_pred.shape[-1]

    def get_config(self) -> dict:
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def one_hot_like(y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
    """Encode classes, int (batch,), one-hot: float (batch, classes), as `y_pred`, float (batch, ..., classes)."""
    return ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
