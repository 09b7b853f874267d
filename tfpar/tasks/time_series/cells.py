"""Parses numbers in cells of tables."""

import math
from pathlib import Path

import numpy as np

from tfpar.errors import UserError

LARGEST = float(np.finfo(np.float32).max)
_LEAST_SPACINGS = 100  # of float32, between the smallest and the largest value of a column
MISSING = frozenset(("", "nan", "NaN", "NAN", "na", "NA", "N/A", "null", "NULL", "None", "?"))


def parse_number(path: Path, line: int, cell: str, column: str = "") -> float:
    """Parse a cell; one of `MISSING` is NaN.

    Args:
        path, line, column: where it stands, for errors.
        cell: the text.

    Raises:
        UserError: it is neither a number that float32 holds nor missing.
    """
    try:
        value = float(cell.replace("_", " "))  # Python reads 1_000 as 1000
    except ValueError:
        if cell.strip() in MISSING:
            return math.nan
        raise UserError(
            f"{path}, line {line}{column and f', column {column!r}'}: expected a number; got {cell[:40]!r}. Where "
            "the value is missing the cell must be empty; columns of text are omitted by --target_columns"
        ) from None
    if abs(value) > LARGEST:
        what = "infinite" if math.isinf(value) else f"beyond float32: {cell[:40]}"
        raise UserError(
            f"{path}, line {line}{column and f', column {column!r}'}: the value is {what}; it must be finite, or "
            "empty where it is missing"
        )
    return value


def check_precision(what: str, least: float, most: float) -> None:
    """Refuse numbers of which float32 rounds the differences away, such as a counter that starts high.

    Args:
        what: they are, for the error.
        least, most: the smallest and the largest of them, in float64.
    """
    if least >= most:
        return
    spacing = np.spacing(np.float32(max(abs(least), abs(most))))
    if most - least < _LEAST_SPACINGS * spacing:
        raise UserError(
            f"{what} is between {least:.12g} and {most:.12g}, where float32 has steps of {spacing:g}; subtract a "
            "constant from it"
        )


def check_array(what: str, values: np.ndarray) -> None:
    """Refuse an array of which float32 rounds the differences away; see `check_precision`.

    Args:
        what: for the error, as "PATH: x".
        values: numbers (..., columns), with a NaN where one is missing.
    """
    for index in range(values.shape[-1]):
        column = values[..., index]
        known = column[~np.isnan(column)]
        if known.size:
            check_precision(f"{what}, column {index},", float(known.min()), float(known.max()))


def has_too_large(values: np.ndarray) -> bool:
    """Return whether a number is infinite or beyond the range of float32; NaN is not."""
    return bool((np.abs(values) > LARGEST).any())


def is_number(cell: str) -> bool:
    """Return whether Python reads a cell as a number, `nan` and `inf` too."""
    try:
        float(cell)
    except ValueError:
        return False
    return True
