"""`AttentionPooling`: a weighted mean over time with learned weights."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfpar.layers.argument_types import Shape
from tfpar.layers.pooling import largest_valid, valid_steps, zeros_if_masked
from tfpar.layers.step_layer import StepLayer, Tensors


@keras.saving.register_keras_serializable(package="tfpar")
class AttentionPooling(StepLayer, keras.layers.Layer):
    """Pooling of a sequence into one vector by attention.

        e[t] = v . tanh(x[t] W + b)        score of step t
        a    = softmax(e)                  over the valid steps
        y    = sum_t a[t] x[t]

    In a stream the output is that of all steps so far, by a running softmax.

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

    state_names = ("score", "weight", "sum")

    def state_shapes(self) -> list[tuple[int, ...]]:
        return [(1,), (1,), (self._features,)]

    def build(self, sequences_shape: Shape) -> None:
        self._features = sequences_shape[-1]
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

    def step(self, sequences: tf.Tensor, states: Tensors, mask: tf.Tensor | None = None) -> tuple[Any, list[tf.Tensor]]:
        """Process the next steps of a stream; see `StepLayer`. Weights are relative to the largest score so far."""
        before, weight, total = states
        sequences = ops.cast(sequences, self.compute_dtype)
        valid = valid_steps(sequences, mask)
        sequences = zeros_if_masked(sequences, valid)
        scores = self.score(self.hidden(sequences))
        largest, has_valid = largest_valid(scores, valid)
        largest = ops.where(weight > 0, ops.maximum(before, largest), largest)
        largest = ops.where(has_valid, largest, before)
        decay = ops.exp(ops.minimum(before - largest, 0))
        weights = ops.exp(ops.minimum(scores - largest[:, None], 0)) * ops.cast(valid, scores.dtype)
        weight = decay * weight + ops.sum(weights, axis=1)
        total = decay * total + ops.sum(weights * sequences, axis=1)
        return total / ops.maximum(weight, 1), [largest, weight, total]

    def compute_mask(self, _: Any, previous_mask: Any) -> Any:
        return None

    def compute_output_shape(self, sequences_shape: Shape) -> Shape:
        return sequences_shape[0], sequences_shape[-1]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}
