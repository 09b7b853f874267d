"""`AttentionPooling`: a weighted mean over time with learned weights."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfpar.layers.argument_types import Shape
from tfpar.layers.pooling import zeros_if_masked


@keras.saving.register_keras_serializable(package="tfpar")
class AttentionPooling(keras.layers.Layer):
    """Pooling of a sequence into one vector by attention.

        e[t] = v . tanh(x[t] W + b)        score of step t
        a    = softmax(e)                  over the valid steps
        y    = sum_t a[t] x[t]

    Args:
        units: size of the scoring layer.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        sequences: float (batch, time, features).
        mask: bool (batch, time), or None. Masked steps have weight zero; a row without valid steps gives zeros.

    References:
        Yang et al. 2016, Hierarchical Attention Networks, eq. 5-7.

    Example:

    >>> tuple(AttentionPooling(4)(np.ones((2, 5, 3), "float32")).shape)
    (2, 3)
    """

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.units = units
        self.hidden = keras.layers.Dense(units, activation="tanh", dtype=self.dtype_policy, name="hidden")
        self.score = keras.layers.Dense(1, use_bias=False, dtype=self.dtype_policy, name="score")
        self.supports_masking = True

    def build(self, sequences_shape: Shape) -> None:
        self.hidden.build(sequences_shape)
        self.score.build((*sequences_shape[:-1], self.units))

    def call(self, sequences: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        if mask is None:
            return ops.sum(ops.softmax(self.score(self.hidden(sequences)), axis=1) * sequences, axis=1)
        valid = mask[:, :, None]
        sequences = zeros_if_masked(sequences, valid)  # a weight of zero would not remove NaN
        scores = self.score(self.hidden(sequences))
        # exp(-20) vanishes in float32; a larger offset would waste the 8-bit range.
        lowest = ops.stop_gradient(ops.min(scores, axis=1, keepdims=True))
        weights = ops.softmax(ops.where(valid, scores, lowest - 20), axis=1) * ops.cast(valid, scores.dtype)
        return ops.sum(weights * sequences, axis=1)

    def compute_mask(self, _: Any, previous_mask: Any) -> Any:
        return None

    def compute_output_shape(self, sequences_shape: Shape) -> Shape:
        return sequences_shape[0], sequences_shape[-1]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
