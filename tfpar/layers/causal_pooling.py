"""Pooling over causal windows of the valid steps of a sequence."""

import abc
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfpar.checks import check_positive_integer
from tfpar.layers.argument_types import Shape
from tfpar.layers.step_layer import StepLayer, Tensors, append_to_history


class _CausalPooling(StepLayer, keras.layers.Layer, abc.ABC):
    """Base of poolings over windows that end with each `strides` steps; windows without valid steps give zeros.

    Output j is over the `pool_size` steps that end with step (j + 1) * strides - 1, so that a stream has no latency.
    The last window may end behind the sequence. An output is masked if its last `strides` steps are.
    """

    def __init__(self, pool_size: int, strides: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.pool_size = check_positive_integer("pool_size", pool_size)
        self.strides = check_positive_integer("strides", pool_size if strides is None else strides)
        if self.strides > pool_size:
            raise ValueError(
                f"`strides` must be at most `pool_size`; got {self.strides} and {pool_size}. Steps between windows "
                "would be lost."
            )
        self.supports_masking = True

    @property
    def state_names(self) -> tuple[str, ...]:
        """Suffixes of the names of the states in an exported file."""
        return ("history", "valid") if self._before else ()

    @property
    def block_size(self) -> int:
        """Input steps for each output step."""
        return self.strides

    @property
    def _before(self):
        return self.pool_size - self.strides  # steps of a window before its last `strides` steps

    def build(self, sequences_shape: Shape) -> None:
        self._features = sequences_shape[-1]

    def state_shapes(self) -> list[tuple[int, ...]]:
        return [(self._before, self._features), (self._before, 1)] if self._before else []

    def call(self, sequences: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        sequences, valid = _apply_mask(sequences, mask)
        pads = [[0, 0], [self._before, self._steps_missing(sequences)], [0, 0]]
        return self._pool(tf.pad(sequences, pads), tf.pad(valid, pads))

    def step(self, sequences: tf.Tensor, states: Tensors, mask: tf.Tensor | None = None) -> tuple[Any, list[tf.Tensor]]:
        """Process the next steps of a stream; see `StepLayer`."""
        self.check_step(sequences)
        blocks = _apply_mask(ops.cast(sequences, self.compute_dtype), mask)
        if not states:
            return self._pool(*blocks), []
        pairs = [append_to_history(state, block) for state, block in zip(states, blocks, strict=True)]
        return self._pool(*(joined for joined, _ in pairs)), [history for _, history in pairs]

    @abc.abstractmethod
    def _pool(self, sequences, valid):
        """Pool full windows; `valid` is 1 or 0, (batch, time, 1), and masked steps are zeros."""

    def compute_mask(self, _: Any, previous_mask: Any = None) -> Any:
        if previous_mask is None:
            return None
        valid = ops.cast(previous_mask, "float32")[:, :, None]  # TFLite Micro has no `any`
        padded = tf.pad(valid, [[0, 0], [0, self._steps_missing(valid)], [0, 0]])
        return ops.max_pool(padded, self.strides, data_format="channels_last")[:, :, 0] > 0.5

    def _steps_missing(self, sequences):
        """Return the number of steps from the end of the sequences to that of the last window."""
        return (-ops.shape(sequences)[1]) % self.strides

    def compute_output_shape(self, sequences_shape: Shape) -> Shape:
        batch, steps, features = sequences_shape
        return batch, None if steps is None else -(-steps // self.strides), features

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "pool_size": self.pool_size, "strides": self.strides}


@keras.saving.register_keras_serializable(package="tfpar")
class CausalMaxPooling(_CausalPooling):
    """Maximum of each feature over the valid steps of causal windows.

    Args:
        pool_size: steps of a window.
        strides: steps between the ends of two windows, at most `pool_size`; None: `pool_size`.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        sequences: float (batch, time, features).
        mask: bool (batch, time), or None.

    Returns:
        float (batch, time / strides, features), rounded up.

    Raises:
        ValueError: an argument is out of its range.

    Example:

    >>> CausalMaxPooling(2)(np.array([[[1.0], [3.0], [9.0], [5.0]]])).numpy().ravel()
    array([3., 9.], dtype=float32)
    """

    def _pool(self, sequences, valid):
        lowest = ops.min(sequences, axis=1, keepdims=True)
        windows = ops.where(valid > 0.5, sequences, lowest)
        largest = ops.max_pool(windows, self.pool_size, self.strides, data_format="channels_last")
        has_valid = ops.max_pool(valid, self.pool_size, self.strides, data_format="channels_last") > 0.5
        return ops.where(has_valid, largest, ops.zeros_like(largest))


@keras.saving.register_keras_serializable(package="tfpar")
class CausalMeanPooling(_CausalPooling):
    """Mean of each feature over the valid steps of causal windows.

    Args:
        pool_size: steps of a window.
        strides: steps between the ends of two windows, at most `pool_size`; None: `pool_size`.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        sequences: float (batch, time, features).
        mask: bool (batch, time), or None.

    Returns:
        float (batch, time / strides, features), rounded up.

    Raises:
        ValueError: an argument is out of its range.

    Example:

    >>> CausalMeanPooling(2)(np.array([[[1.0], [3.0], [9.0], [5.0]]])).numpy().ravel()
    array([2., 7.], dtype=float32)
    """

    def _pool(self, sequences, valid):
        total = self.pool_size * ops.average_pool(sequences, self.pool_size, self.strides, data_format="channels_last")
        count = self.pool_size * ops.average_pool(valid, self.pool_size, self.strides, data_format="channels_last")
        return total / ops.maximum(count, 1)


def _apply_mask(sequences, mask):
    """Return sequences with zeros at masked steps, and ones and zeros of valid and masked steps."""
    if mask is None:
        return sequences, ops.ones_like(sequences[:, :, :1])
    valid = mask[:, :, None]
    # Not a product, which would be NaN where NaN is masked.
    return ops.where(valid, sequences, ops.zeros_like(sequences)), ops.cast(valid, sequences.dtype)
