"""Pooling over the valid steps of a sequence."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfpar.layers.argument_types import Shape


class _MaskedPooling(keras.layers.Layer):
    """Base of poolings from float (batch, time, features) to (batch, features); rows without valid steps give zeros."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True

    def call(self, sequences: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        if mask is None:
            mask = ops.ones(ops.shape(sequences)[:2], "bool")
        return self._pool(sequences, mask[:, :, None])

    def compute_mask(self, _: Any, previous_mask: Any) -> Any:
        return None

    def compute_output_shape(self, sequences_shape: Shape) -> Shape:
        return sequences_shape[0], sequences_shape[-1]


@keras.saving.register_keras_serializable(package="tfpar")
class MaxPooling(_MaskedPooling):
    """Maximum of each feature over the valid steps.

    Example:

    >>> MaxPooling()(np.array([[[1.0], [3.0], [9.0]]]), mask=np.array([[True, True, False]])).numpy()
    array([[3.]], dtype=float32)
    """

    def _pool(self, sequences, valid):
        # The minimum of the row masks padding without a wider range of values, which 8 bits must cover.
        lowest = ops.min(sequences, axis=1, keepdims=True)
        largest = ops.max(ops.where(valid, sequences, lowest), axis=1)
        # The maximum of ones and zeros: TFLite Micro has no `any`.
        has_valid = ops.max(ops.cast(valid, sequences.dtype), axis=1) > 0.5
        return ops.where(has_valid, largest, ops.zeros_like(largest))


@keras.saving.register_keras_serializable(package="tfpar")
class MeanPooling(_MaskedPooling):
    """Mean of each feature over the valid steps.

    Example:

    >>> MeanPooling()(np.array([[[1.0], [3.0], [9.0]]]), mask=np.array([[True, True, False]])).numpy()
    array([[2.]], dtype=float32)
    """

    def _pool(self, sequences, valid):
        valid = ops.cast(valid, sequences.dtype)
        return ops.sum(sequences * valid, axis=1) / ops.maximum(ops.sum(valid, axis=1), 1)
