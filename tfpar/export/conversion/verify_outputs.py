"""Compares what a converted model or an exported file computes with the Keras model that was given."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tfpar.export.formats import Format

FLOOR = 1e-6  # absolute: below it float32 rounding of intermediate values may be all there is

EXAMPLE = "example"  # the kind of a row that is not padded on purpose


class Row(NamedTuple):
    """Inputs to compare on: arrays by input name, and their kind, `EXAMPLE` or how they are padded."""

    kind: str
    inputs: dict[str, np.ndarray]


class Excess(NamedTuple):
    """The output that is furthest from Keras', measured by what is allowed.

    Attributes:
        output: its name.
        kind: of the row.
        error: the largest absolute difference; NaN where only one of both is a number.
        allowed: what it may be.
    """

    output: str
    kind: str
    error: float
    allowed: float

    @property
    def is_allowed(self) -> bool:
        """Whether the error is within what is allowed; NaN never is."""
        return self.error <= self.allowed


class Comparison:
    """Differences of all outputs on all rows."""

    def __init__(self):
        self._errors: dict[tuple[str, str], float] = {}
        self._scales: dict[str, float] = {}
        self.example: dict[str, np.ndarray] | None = None  # inputs of one
        self.has_gaps = False  # an example has a zero step before one that is not zero
        self.undefined: dict[str, np.ndarray] | None = None  # inputs of an example for which Keras itself gives NaN

    def is_comparable(self, row: Row, expected: dict[str, np.ndarray]) -> bool:
        """Whether a row can be compared: one that was padded on purpose cannot where Keras gives NaN.

        A mean over no step is none, and a file may refuse to divide by zero.
        """
        is_number = not any(np.isnan(_numbers(value)).any() for value in expected.values())
        if row.kind == EXAMPLE:
            self.example = row.inputs
            self.has_gaps |= any(map(_has_gap, row.inputs.values()))
            self.undefined = self.undefined if is_number else row.inputs
        return is_number or row.kind == EXAMPLE

    def add(self, row: Row, found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
        """Compare the outputs for one row, by name."""
        for name, value in expected.items():
            key = (name, row.kind)
            self._errors[key] = float(np.maximum(self._errors.get(key, 0.0), _largest_difference(found[name], value)))
            self._scales[name] = max(self._scales.get(name, 0.0), _scale(value))

    def update(self, other: "Comparison", prefix: str = "") -> None:
        """Add the differences of another comparison, whose outputs may be other ones of the same name."""
        self._errors |= {(prefix + name, kind): error for (name, kind), error in other._errors.items()}  # noqa: SLF001
        self._scales |= {prefix + name: scale for name, scale in other._scales.items()}  # noqa: SLF001
        self.example = self.example or other.example
        self.undefined = self.undefined or other.undefined

    @property
    def error(self) -> float:
        """The largest absolute difference; NaN if any is."""
        return float(np.max(list(self._errors.values()), initial=0.0))

    @property
    def relative_error(self) -> float:
        """The largest difference as a share of its output's scale."""
        shares = [error / max(self._scales[name], FLOOR) for (name, _), error in self._errors.items()]
        return float(np.max(shares, initial=0.0))

    def worst(self, chosen: Format, tolerance: float | None = None, kinds: Iterable[str] | None = None) -> Excess:
        """Find the output that is furthest from Keras', by what its format or `tolerance` allows.

        Args:
            chosen: the format.
            tolerance: absolute; None: as far as the format allows.
            kinds: of rows to look at; None: all.
        """
        excesses = [
            Excess(name, kind, error, self._allowed(name, chosen, tolerance))
            for (name, kind), error in self._errors.items()
            if kinds is None or kind in kinds
        ]
        # Examples first: what is wrong on them is not a matter of padding.
        excesses.sort(key=lambda excess: excess.kind != EXAMPLE)
        return max(excesses, key=_share_of_allowed, default=Excess("", EXAMPLE, 0.0, 0.0))

    def _allowed(self, name, chosen, tolerance):
        return max(chosen.max_relative_error * self._scales[name], FLOOR) if tolerance is None else tolerance


def _share_of_allowed(excess):
    share = excess.error / excess.allowed if excess.allowed else np.inf * excess.error
    return np.inf if np.isnan(share) else share


def compare_models(found, expected, rows: list[Row]) -> Comparison:
    """Compare two `ServingModel`s, whose outputs are in the same order, on rows of their inputs."""
    comparison = Comparison()
    for row in rows:
        values = expected.outputs(row.inputs)
        if comparison.is_comparable(row, values):
            others = found.outputs(dict(zip(found.input_names, row.inputs.values(), strict=True)))
            comparison.add(row, dict(zip(values, others.values(), strict=True)), values)
    return comparison


def _has_gap(rows) -> bool:
    """Whether a step of zeros precedes one that has others, in a row of (rows, time, ...)."""
    if rows.ndim < 2 or rows.dtype.kind not in "iufb":
        return False
    filled = np.any(rows.reshape(*rows.shape[:2], -1) != 0, axis=-1)
    return bool(np.any(~filled[:, :-1] & filled[:, 1:]))


def _largest_difference(found, expected) -> float:
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return np.nan
    if expected.dtype.kind in "SUO":
        return float(np.any(found != expected))
    found, expected = _numbers(found), _numbers(expected)
    with np.errstate(invalid="ignore"):
        differences = np.where(found == expected, 0.0, np.abs(found - expected))  # infinities may be equal
    return float(np.max(differences, initial=0.0))


def _scale(value) -> float:
    numbers = np.abs(_numbers(value))
    return float(np.max(numbers[np.isfinite(numbers)], initial=0.0))


def _numbers(value) -> np.ndarray:
    """The values in float64; text counts as zero."""
    value = np.asarray(value)
    return np.zeros(value.shape) if value.dtype.kind in "SUO" else value.astype(np.float64)
