"""The loss of strings without their alignment."""

import keras
import tensorflow as tf

from tfpar.ops.ctc import ctc_loss


@keras.saving.register_keras_serializable(package="tfpar")
class CTCLoss(keras.losses.Loss):
    """Connectionist temporal classification; see `tfpar.ops.ctc`. Every step of a row counts: rows are of one length.

    Args:
        name: of the loss.
        reduction: see `keras.losses.Loss`. The default divides by the sum of the sample weights, so that rows of weight
            zero, which fill up a batch, count for nothing.

    Call arguments:
        y_true: int (batch, symbols), from 1 on, and 0 behind a string's end.
        y_pred: float (batch, steps, 1 + symbols), logits; class 0 is the blank.
    """

    def __init__(self, name="ctc", reduction="mean_with_sample_weight", **kwargs):
        super().__init__(name=name, reduction=reduction, **kwargs)

    def call(self, y_true, y_pred):
        return ctc_loss(tf.nn.log_softmax(y_pred), tf.cast(y_true, tf.int32))
