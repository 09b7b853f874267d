"""Parses numbers in cells of tables."""

import math
from pathlib import Path

from tfpar.errors import UserError

MISSING = frozenset(("", "nan", "NaN", "NAN", "na", "NA", "N/A", "null", "NULL", "None", "?"))


def parse_number(path: Path, line: int, cell: str, column: str = "") -> float:
    """Parse a cell; one of `MISSING` is NaN.

    Args:
        path, line, column: where it stands, for errors.
        cell: the text.

    Raises:
        UserError: it is neither a finite number nor missing.
    """
    try:
        value = float(cell)
    except ValueError:
        if cell.strip() in MISSING:
            return math.nan
        raise UserError(
            f"{path}, line {line}{column and f', column {column!r}'}: expected a number; got {cell[:40]!r}. Where "
            "the value is missing the cell must be empty"
        ) from None
    if math.isinf(value):
        raise UserError(
            f"{path}, line {line}{column and f', column {column!r}'}: the value is infinite; it must be finite, or "
            "empty where it is missing"
        )
    return value


def is_number(cell: str) -> bool:
    """Return whether Python reads a cell as a number, `nan` and `inf` too."""
    try:
        float(cell)
    except ValueError:
        return False
    return True
