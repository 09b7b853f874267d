"""Times of steps: parsing, and calendar features."""

import datetime
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfpar.errors import UserError
from tfpar.tasks.time_series.cells import is_number
from tfpar.tasks.time_series.grids import DAY_US, Grid

_EPOCH = datetime.datetime(1970, 1, 1)
_US = datetime.timedelta(microseconds=1)
_LATEST_US = 2**62  # times and their differences are int64
_COMPACT_DATE = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])?")  # 20240131, 202401


class TimeParser:
    """Parser of the cells of a time column: all numbers, or all dates.

    Args:
        path: of the file, for errors.
        column: its name, for errors.
        time_format: as of `datetime.strptime`; "": ISO 8601, or numbers.

    Attributes:
        is_number: whether times are numbers; None before the first cell.
        has_zone: whether times have an offset from UTC, to which they are converted.
    """

    def __init__(self, path: Path, column: str, time_format: str = ""):
        self._path, self._column, self._format = path, column, time_format
        self.is_number: bool | None = None
        self.has_zone: bool | None = None
        self._longest_compact = 0  # cell, if all are like compact dates

    def parse(self, line: int, cell: str) -> int:
        """Return microseconds since 1970; a number counts as seconds.

        Raises:
            UserError: the cell is no time, or of another kind than those before.
        """
        if self.is_number is None:
            self.is_number = not self._format and is_number(cell)
            self._longest_compact = 1
        if self._longest_compact:
            is_compact = self.is_number and _COMPACT_DATE.fullmatch(cell)
            self._longest_compact = max(self._longest_compact, len(cell)) if is_compact else 0
        try:
            return _check_range(round(float(cell) * 1e6)) if self.is_number else self._parse_date(line, cell)
        except (ValueError, OverflowError):
            kind = (
                "a number of seconds"
                if self.is_number
                else self._format or "a date such as 2024-01-31 or 2024-01-31 12:00:00"
            )
            if self.has_zone is not None:
                kind += " with a time zone, as before" if self.has_zone else " without a time zone, as before"
            raise UserError(
                f"{self._path}, line {line}, column {self._column!r}: expected {kind}; got {cell[:40]!r}. Other "
                "formats are given by --time_format, such as %d/%m/%Y"
            ) from None

    def check_kind(self) -> None:
        """Raise UserError if all cells, as numbers, look like dates without separators."""
        if self._longest_compact:
            time_format = "%Y%m%d" if self._longest_compact > 6 else "%Y%m"
            raise UserError(
                f"{self._path}: the numbers in the column {self._column!r} look like dates; give --time_format "
                f"{time_format}, or subtract a constant if they are seconds"
            )

    def _parse_date(self, line, cell):
        text = f"{cell}-01" if not self._format and len(cell) == 7 and cell[4:5] == "-" else cell
        if self._format:
            time = datetime.datetime.strptime(text, self._format)
        else:
            time = datetime.datetime.fromisoformat(text)
        has_zone = time.tzinfo is not None
        if self.has_zone is None:
            self.has_zone = has_zone
        if has_zone != self.has_zone:
            raise ValueError("zones")
        if has_zone:
            time = time.astimezone(datetime.UTC).replace(tzinfo=None)
        return (time - _EPOCH) // _US


def _check_range(time_us: int) -> int:
    if abs(time_us) > _LATEST_US:
        raise ValueError("range")
    return time_us


def calendar_names(grid: Grid) -> tuple[str, ...]:
    """Return the names of the calendar features of a grid."""
    periods = [
        name
        for name, longest_us in (("hour", DAY_US - 1), ("weekday", DAY_US), ("year", 32 * DAY_US))
        if grid.step_us <= longest_us
    ]
    return tuple(f"{wave}_{name}" for name in periods for wave in ("sin", "cos")) if not grid.is_number else ()


def calendar_features(times: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Compute calendar features in UTC: float32 (times, names), each in [-1, 1]."""
    dates = times.astype("datetime64[us]")
    days = dates.astype("datetime64[D]").astype(np.int64)
    years = dates.astype("datetime64[Y]").astype("datetime64[D]").astype(np.int64)
    phase = {
        "hour": (times % DAY_US) / DAY_US,
        "weekday": (days + 3) % 7 / 7,
        "year": (days - years) / 365.25,
    }
    waves = {"sin": np.sin, "cos": np.cos}
    columns = [waves[name[:3]](2 * np.pi * phase[name[4:]]) for name in names]
    return np.stack(columns, axis=1).astype(np.float32) if columns else np.zeros((len(times), 0), np.float32)
