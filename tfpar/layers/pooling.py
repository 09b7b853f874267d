"""Pooling over the valid steps of a sequence."""

import abc
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfpar.layers.argument_types import Shape
from tfpar.layers.step_layer import StepLayer, Tensors


class _MaskedPooling(StepLayer, keras.layers.Layer, abc.ABC):
    """Base of poolings from float (batch, time, features) to (batch, features); rows without valid steps give zeros.

    In a stream the output is that of all steps so far.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, sequences_shape: Shape) -> None:
        self._features = sequences_shape[-1]

    def call(self, sequences: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        return self._pool(sequences, valid_steps(sequences, mask))

    @abc.abstractmethod
    def _pool(self, sequences, valid):
        """Return the pooled features; `valid` is bool (batch, time, 1)."""

    def state_shapes(self) -> list[tuple[int, ...]]:
        return [(self._features,), (1,)]

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

    state_names = ("max", "seen")

    def _pool(self, sequences, valid):
        largest, has_valid = largest_valid(sequences, valid)
        return ops.where(has_valid, largest, ops.zeros_like(largest))

    def step(self, sequences: tf.Tensor, states: Tensors, mask: tf.Tensor | None = None) -> tuple[Any, list[tf.Tensor]]:
        before, seen = states
        sequences = ops.cast(sequences, before.dtype)
        largest, has_valid = largest_valid(sequences, valid_steps(sequences, mask))
        largest = ops.where(seen > 0.5, ops.maximum(before, largest), largest)
        after = ops.where(has_valid, largest, before)
        return after, [after, ops.maximum(seen, ops.cast(has_valid, seen.dtype))]


@keras.saving.register_keras_serializable(package="tfpar")
class MeanPooling(_MaskedPooling):
    """Mean of each feature over the valid steps.

    Example:

    >>> MeanPooling()(np.array([[[1.0], [3.0], [9.0]]]), mask=np.array([[True, True, False]])).numpy()
    array([[2.]], dtype=float32)
    """

    state_names = ("sum", "count")

    def _pool(self, sequences, valid):
        return _mean(*_sum_valid(sequences, valid))

    def step(self, sequences: tf.Tensor, states: Tensors, mask: tf.Tensor | None = None) -> tuple[Any, list[tf.Tensor]]:
        sequences = ops.cast(sequences, states[0].dtype)
        added = _sum_valid(sequences, valid_steps(sequences, mask))
        after = [state + more for state, more in zip(states, added, strict=True)]
        return _mean(*after), after


def valid_steps(sequences: tf.Tensor, mask: tf.Tensor | None) -> tf.Tensor:
    """Return whether each step is valid: bool (batch, time, 1)."""
    return (ops.ones(ops.shape(sequences)[:2], "bool") if mask is None else mask)[:, :, None]


def largest_valid(sequences: tf.Tensor, valid: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the largest valid number of each feature, and whether a row has a valid step: bool (batch, 1)."""
    # The minimum of the row masks padding without a wider range of values, which 8 bits must cover.
    lowest = ops.min(zeros_if_masked(sequences, valid), axis=1, keepdims=True)
    largest = ops.max(ops.where(valid, sequences, lowest), axis=1)
    # The maximum of ones and zeros: TFLite Micro has no `any`.
    return largest, ops.max(ops.cast(valid, sequences.dtype), axis=1) > 0.5


def _sum_valid(sequences, valid):
    """Return the sum over the valid steps, and their number: (batch, 1)."""
    return ops.sum(zeros_if_masked(sequences, valid), axis=1), ops.sum(ops.cast(valid, sequences.dtype), axis=1)


def zeros_if_masked(sequences: tf.Tensor, valid: tf.Tensor) -> tf.Tensor:
    """Return sequences with zeros at masked steps."""
    return ops.where(valid, sequences, ops.zeros_like(sequences))  # a product would be NaN where NaN is masked


def _mean(total, count):
    return total / ops.maximum(count, 1)
