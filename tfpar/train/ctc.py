"""Connectionist temporal classification loss."""

import keras
import tensorflow as tf

from tfpar.ops.ctc import ctc_loss


@keras.saving.register_keras_serializable(package="tfpar")
class CTCLoss(keras.losses.Loss):
    """Connectionist temporal classification loss; see `tfpar.ops.ctc`. All steps are valid: rows have one length.

    Args:
        name: of the loss.
        reduction: see `keras.losses.Loss`. The default divides by the sum of the sample weights, so that padding
            rows of weight zero do not change the mean.

    Call arguments:
        y_true: int (batch, symbols), from 1 on, and 0 after a string's end.
        y_pred: float (batch, steps, 1 + symbols), logits; class 0 is the blank.
    """

    def __init__(self, name: str = "ctc", reduction: str = "mean_with_sample_weight", **kwargs):
        super().__init__(name=name, reduction=reduction, **kwargs)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        return ctc_loss(tf.nn.log_softmax(y_pred), tf.cast(y_true, tf.int32))
