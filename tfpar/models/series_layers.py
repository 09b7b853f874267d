"""Blocks of models for time series."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras

from tfpar import layers
from tfpar.checks import check_positive_integer
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.layers.recurrent.cells import find_layer
from tfpar.models.window_scaling import split_statistics, statistics_scales


@dataclasses.dataclass(frozen=True)
class SeriesInput:
    """Input of a model for time series.

    Attributes:
        columns: values of a step.
        steps: number of steps; None: any.
        mean, deviation: of each column, of the training steps; None: 0 and 1.
        has_indicators: each value comes with an indicator: 1 if it is observed, 0 if it is missing; the indicators are
            the second half of the columns.
    """

    columns: int
    steps: int | None = None
    mean: Sequence[float] | None = None
    deviation: Sequence[float] | None = None
    has_indicators: bool = False

    def make(self) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Make the input "series", float32 (batch, steps, columns), and its standardized values."""
        columns = check_positive_integer("columns", self.columns)
        series = keras.Input((self.steps, columns * (2 if self.has_indicators else 1)), dtype="float32", name="series")
        standardization = layers.Standardization(
            fill(self.mean, 0.0, columns),
            fill(self.deviation, 1.0, columns),
            self.has_indicators,
            dtype="float32",
            name="standardization",
        )
        return series, standardization(series)

    def make_with_statistics(self, targets: int) -> tuple[keras.KerasTensor, keras.KerasTensor, Any]:
        """Make an input whose last columns are mean and deviation of each target in the series; see `WindowScaling`.

        Args:
            targets: number of them; 0: there are no such columns.

        Returns:
            The input, its other columns, standardized, and the statistics, float (batch, 1, 2 * targets), or None.
        """
        if not targets:
            return *self.make(), None
        mean, deviation = fill(self.mean, 0.0, self.columns), fill(self.deviation, 1.0, self.columns)
        means, deviations = statistics_scales(mean, deviation, targets)
        whole = dataclasses.replace(
            self, columns=self.columns + 2 * targets, mean=(*mean, *means), deviation=(*deviation, *deviations)
        )
        series, x = whole.make()
        return series, *split_statistics(x, self.columns, targets, self.has_indicators)


def fill(values: Sequence[float] | None, default: float, columns: int) -> tuple[float, ...]:
    """Return one value for each column: `values`, or the default."""
    return (default,) * columns if values is None else tuple(values)


def recurrent(
    cell: str | type[RecurrentLayer],
    units: int,
    name: str,
    seed: int,
    bidirectional: bool = False,
    return_sequences: bool = True,
    return_state: bool = False,
) -> keras.layers.Layer:
    """Make a recurrent layer, in one direction or both, whose initial weights have their own seed."""

    def one_direction(go_backwards, seed):
        layer: Any = find_layer(cell)  # classes differ in their arguments
        return layer(
            units,
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            recurrent_initializer=keras.initializers.Orthogonal(seed=seed + 1),
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            name=f"backward_{name}" if go_backwards else name,
        )

    forward = one_direction(False, seed)
    if not bidirectional:
        return forward
    return layers.Bidirectional(forward, backward_layer=one_direction(True, seed + 2), name=name)
