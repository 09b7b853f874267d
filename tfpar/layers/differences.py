"""`Differences`: the change of each column of a series from step to step, beside the column."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfpar.layers.argument_types import Shape
from tfpar.layers.step_layer import StepLayer, Tensors, append_to_history


@keras.saving.register_keras_serializable(package="tfpar")
class Differences(StepLayer, keras.layers.Layer):
    """A series, and the first differences of its columns: (x[t] - x[t-1]) / deviation.

    A difference is 0 at the first step, and where one of its two values is missing or masked.

    In an int8 file it computes in float32, since differences of rounded numbers would be rounding errors.

    Args:
        deviation: of each column's differences, above zero.
        has_indicators: whether the input has an indicator for each column, as that of `Standardization`.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        series: float (batch, time, columns), or (batch, time, 2 * columns) with indicators.
        mask: bool (batch, time), or None.

    Returns:
        float (batch, time, columns of `series` + columns): the input, and the differences.

    Example:

    >>> Differences([2.0])(np.array([[[1.0], [5.0]]])).numpy()
    array([[[1., 0.],
            [5., 2.]]], dtype=float32)
    """

    keep_float32 = True  # in an int8 file
    state_names = ("value", "observed")

    def __init__(self, deviation: Sequence[float], has_indicators: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        if not len(deviation) or min(deviation) <= 0:
            raise ValueError(
                f"`deviation` must have one number above zero for each column; got {deviation!r}; use 1 for a column "
                "that is constant."
            )
        self.deviation = tuple(map(float, deviation))
        self.has_indicators = has_indicators
        self.supports_masking = True
        self.built = True

    def state_shapes(self) -> list[tuple[int, ...]]:
        return [(1, len(self.deviation))] * 2

    def call(self, series: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        blocks = self._values_and_observed(series, mask)
        return self._append(series, [ops.pad(block, [[0, 0], [1, 0], [0, 0]]) for block in blocks])

    def step(self, sequences: tf.Tensor, states: Tensors, mask: tf.Tensor | None = None) -> tuple[Any, list[tf.Tensor]]:
        """Process the next steps of a stream; see `StepLayer`."""
        self.check_step(sequences)
        sequences = ops.cast(sequences, self.compute_dtype)
        blocks = self._values_and_observed(sequences, mask)
        pairs = [append_to_history(state, block) for state, block in zip(states, blocks, strict=True)]
        return self._append(sequences, [joined for joined, _ in pairs]), [history for _, history in pairs]

    def _values_and_observed(self, series, mask):
        """Return the values, and 1 where they are observed, else 0: each float (batch, time, columns)."""
        columns = len(self.deviation)
        values = series[..., :columns]
        observed = series[..., columns:] if self.has_indicators else ops.ones_like(values)
        if mask is None:
            return values, observed
        valid = mask[:, :, None]  # not a product, which would be NaN where NaN is masked
        return tuple(ops.where(valid, tensor, ops.zeros_like(tensor)) for tensor in (values, observed))

    def _append(self, series, blocks):
        """Append differences; the blocks begin with the step before the first one."""
        values, observed = blocks
        scale = ops.cast(1 / np.array(self.deviation), series.dtype)
        differences = (values[:, 1:] - values[:, :-1]) * scale * observed[:, 1:] * observed[:, :-1]
        return ops.concatenate([series, differences], axis=-1)

    def compute_output_shape(self, series_shape: Shape) -> Shape:
        return *series_shape[:-1], series_shape[-1] + len(self.deviation)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "deviation": self.deviation, "has_indicators": self.has_indicators}
