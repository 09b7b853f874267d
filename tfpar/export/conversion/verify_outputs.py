"""Compares the outputs of a converted model or an exported file with those of the Keras model."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfpar.export.formats import Format

if TYPE_CHECKING:
    from tfpar.export.conversion.serving import ServingModel

SMALLEST_TOLERANCE = 1e-6  # absolute: smaller differences may be float32 rounding of intermediate values

EXAMPLE = "example"  # the kind of a row that is not padded on purpose


class Row(NamedTuple):
    """Inputs to compare on.

    Attributes:
        kind: `EXAMPLE`, or how the rows are padded.
        inputs: arrays by input name.
    """

    kind: str
    inputs: dict[str, np.ndarray]


class Excess(NamedTuple):
    """The output whose error is largest relative to its tolerance.

    Attributes:
        output: its name.
        kind: of the row.
        error: the largest absolute difference; NaN where only one of both is a number.
        allowed: the tolerance, absolute.
    """

    output: str
    kind: str
    error: float
    allowed: float

    @property
    def is_allowed(self) -> bool:
        """Whether the error is within the tolerance; NaN never is."""
        return self.error <= self.allowed


def is_comparable(row: Row, expected: dict[str, np.ndarray]) -> bool:
    """Whether a row can be compared: not a padded one for which Keras gives NaN, such as a mean over no steps."""
    return row.kind == EXAMPLE or not _has_nan(expected)


class Comparison:
    """Differences of all outputs on all rows.

    Attributes:
        example: inputs of the last example that was added; None: none was.
        has_gaps: whether an example has a zero step before one that is not zero.
        undefined: inputs of an example for which Keras gives NaN; None: there is none.
    """

    def __init__(self):
        self._errors: dict[tuple[str, str], float] = {}
        self._scales: dict[str, float] = {}
        self.example: dict[str, np.ndarray] | None = None
        self.has_gaps = False
        self.undefined: dict[str, np.ndarray] | None = None

    def add(self, row: Row, found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
        """Compare the outputs for one row.

        Args:
            row: the inputs.
            found: outputs of the file, by name.
            expected: outputs of the model, by name.
        """
        if row.kind == EXAMPLE:
            self.example = row.inputs
            self.has_gaps |= any(map(_has_gap, row.inputs.values()))
            self.undefined = row.inputs if _has_nan(expected) else self.undefined
        for name, value in expected.items():
            key = (name, row.kind)
            self._errors[key] = float(np.maximum(self._errors.get(key, 0.0), _largest_difference(found[name], value)))
            self._scales[name] = max(self._scales.get(name, 0.0), _scale(value))

    def update(self, other: "Comparison", prefix: str = "") -> None:
        """Add the differences of another comparison, whose output names get a prefix."""
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
        """The largest difference relative to the scale of its output."""
        ratios = [error / max(self._scales[name], SMALLEST_TOLERANCE) for (name, _), error in self._errors.items()]
        return float(np.max(ratios, initial=0.0))

    def worst(self, chosen: Format, tolerance: float | None = None, kinds: Iterable[str] | None = None) -> Excess:
        """Find the output whose error is largest relative to its tolerance.

        Args:
            chosen: the format.
            tolerance: absolute; None: the format's.
            kinds: of rows to consider; None: all.
        """
        excesses = [
            Excess(name, kind, error, self._allowed(name, chosen, tolerance))
            for (name, kind), error in self._errors.items()
            if kinds is None or kind in kinds
        ]
        # Examples first: an error on them is not caused by padding.
        excesses.sort(key=lambda excess: excess.kind != EXAMPLE)
        return max(excesses, key=_ratio_to_allowed, default=Excess("", EXAMPLE, 0.0, 0.0))

    def _allowed(self, name, chosen, tolerance):
        allowed = chosen.max_relative_error * self._scales[name]
        return max(allowed, SMALLEST_TOLERANCE) if tolerance is None else tolerance


def _ratio_to_allowed(excess):
    ratio = excess.error / excess.allowed if excess.allowed else np.inf * excess.error
    return np.inf if np.isnan(ratio) else ratio


def compare_models(found: "ServingModel", expected: "ServingModel", rows: list[Row]) -> Comparison:
    """Compare two models, whose outputs are in the same order, on rows of their inputs."""
    comparison = Comparison()
    for row in rows:
        values = expected.outputs(row.inputs)
        if is_comparable(row, values):
            others = found.outputs(dict(zip(found.input_names, row.inputs.values(), strict=True)))
            comparison.add(row, dict(zip(values, others.values(), strict=True)), values)
    return comparison


def _has_nan(outputs) -> bool:
    return any(np.isnan(_numbers(value)).any() for value in outputs.values())


def _has_gap(rows) -> bool:
    """Whether a step of zeros precedes a nonzero step, in a row of (rows, time, ...)."""
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
    """Convert to float64; text counts as zero."""
    value = np.asarray(value)
    return np.zeros(value.shape) if value.dtype.kind in "SUO" else value.astype(np.float64)
