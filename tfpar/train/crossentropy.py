"""Cross-entropy of numbered classes, smoothed."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="tfpar")
class SmoothedCrossentropy(keras.losses.Loss):
    """The cross-entropy of logits.

    Args:
        label_smoothing: share of the target probability that is spread evenly over the classes.
        name: of the loss.
        reduction: see `keras.losses.Loss`. The default divides by the sum of the sample weights, so that rows of weight
            zero, which fill up a batch, count for nothing.

    Call arguments:
        y_true: int (batch,), class of each example.
        y_pred: float (batch, classes), logits.
    """

    def __init__(self, label_smoothing=0.0, name="crossentropy", reduction="mean_with_sample_weight", **kwargs):
        super().__init__(name=name, reduction=reduction, **kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        return -ops.sum(self.target(y_true, y_pred) * ops.log_softmax(y_pred, axis=-1), axis=-1)

    def target(self, y_true, y_pred):
        """The smoothed distribution of each example, float (batch, classes)."""
        return one_hot_like(y_true, y_pred) * (1 - self.label_smoothing) + self.label_smoothing / y_pred.shape[-1]

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


def one_hot_like(y_true, y_pred):
    """Classes, int (batch,), as ones and zeros like `y_pred`, float (batch, ..., classes): float (batch, classes)."""
    return ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), y_pred.shape[-1], dtype=y_pred.dtype)
