"""Times of steps: parsing, the regular grid that they lie on, and calendar features."""

import dataclasses
import datetime
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfpar.errors import UserError
from tfpar.tasks.time_series.cells import is_number

DAY_US = 24 * 3600 * 1_000_000
_EPOCH = datetime.datetime(1970, 1, 1)
_US = datetime.timedelta(microseconds=1)
_MONTH_DAYS = (27, 32)  # a step of one month has more days than the first, fewer than the second
_MOST_FILLED = 20  # steps of the grid for each row of the file, at most


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

    def parse(self, line: int, cell: str) -> int:
        """Return microseconds since 1970; a number counts as seconds.

        Raises:
            UserError: the cell is no time, or of another kind than those before.
        """
        if self.is_number is None:
            self.is_number = not self._format and is_number(cell)
        try:
            return round(float(cell) * 1e6) if self.is_number else self._parse_date(line, cell)
        except (ValueError, OverflowError):
            kind = "a number" if self.is_number else self._format or "a date such as 2024-01-31 or 2024-01-31 12:00:00"
            if self.has_zone is not None:
                kind += " with a time zone, as before" if self.has_zone else " without a time zone, as before"
            raise UserError(
                f"{self._path}, line {line}, column {self._column!r}: expected {kind}; got {cell[:40]!r}. Other "
                "formats are given by --time_format, such as %d/%m/%Y"
            ) from None

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


@dataclasses.dataclass(frozen=True)
class Grid:
    """A regular grid of times.

    Attributes:
        step_us: microseconds between two steps; of months, their mean.
        months: months between two steps; 0: the step is a duration.
        is_number: whether times are numbers, in seconds of `step_us`.
    """

    step_us: int
    months: int = 0
    is_number: bool = False

    def positions(self, times: np.ndarray) -> np.ndarray:
        """Return the position on the grid of each time of a series, from 0: int64 (times,)."""
        if self.months:
            months = _months_of(times) // self.months
            return months - months[0]
        gaps = np.maximum(1, np.round(np.diff(times) / self.step_us).astype(np.int64))
        return np.concatenate([[0], np.cumsum(gaps)])

    def extend(self, last: int, count: int) -> np.ndarray:
        """Return the times of the steps after one: int64 (count,)."""
        return self.shift(np.full(count, last, np.int64), np.arange(1, count + 1))

    def shift(self, times: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Return times moved by steps, int64 (times,)."""
        if not self.months:
            return times + self.step_us * steps
        dates = times.astype("datetime64[us]")
        months = dates.astype("datetime64[M]")
        offset = dates - months.astype("datetime64[us]")
        return ((months + self.months * steps).astype("datetime64[us]") + offset).astype(np.int64)

    def season(self) -> int:
        """Return the number of steps of the usual season: a day, a week or a year; 1 if there is none."""
        if self.months:
            return max(1, 12 // self.months)
        if self.is_number:
            return 1
        for period_us in (DAY_US, 7 * DAY_US, 365 * DAY_US):
            if self.step_us < period_us and round(period_us / self.step_us) <= 400:
                return round(period_us / self.step_us)
        return 1

    def format(self, time: int) -> str | float:
        """Return a time as it would stand in a file."""
        if self.is_number:
            return time / 1e6
        text = str(np.datetime64(int(time), "us"))
        return text[:10] if text.endswith("T00:00:00.000000") else text.removesuffix(".000000")


def find_grid(where: str, times: np.ndarray, offsets: np.ndarray, is_number: bool) -> Grid:
    """Find the grid of the times of all series.

    Args:
        where: the file, for errors.
        times: int64 (rows,), in microseconds, series by series.
        offsets: int64 (series + 1,), first row of each series, and the end.
        is_number: whether times are numbers.

    Raises:
        UserError: times of a series are not ascending, or so irregular that most steps of the grid are missing.
    """
    is_inner = np.ones(max(0, len(times) - 1), bool)
    is_inner[offsets[1:-1] - 1] = False
    gaps = np.diff(times)
    for row in np.flatnonzero(is_inner & (gaps <= 0))[:1]:
        problem = "occurs twice" if gaps[row] == 0 else "is before the previous one"
        remedy = "remove one row" if gaps[row] == 0 else "sort the file by time"
        several = " within a series; give --id_column if the file holds several series" if len(offsets) == 2 else ""
        time = Grid(1, is_number=is_number).format(times[row + 1])
        raise UserError(f"{where}: times must ascend{several}; the time {time} {problem}. Sort or clean it: {remedy}")
    gaps = gaps[is_inner]
    if not len(gaps):
        return Grid(DAY_US, is_number=is_number)
    step = int(np.sort(gaps)[(len(gaps) - 1) // 2])  # the lower median: gaps of missing steps are longer
    if not is_number and _are_months(times, gaps):
        months = np.sort(np.diff(_months_of(times))[is_inner])
        return Grid(step, int(months[(len(months) - 1) // 2]))
    grid = Grid(step, is_number=is_number)
    if gaps.sum() / step > _MOST_FILLED * (len(gaps) + 10):
        raise UserError(
            f"{where}: the times are too irregular: rows are mostly {step / 1e6:g} s apart, but {len(gaps) + 1:,} rows "
            f"span {gaps.sum() / step:,.0f} such steps. Resample the file to a regular step"
        )
    return grid


def _are_months(times, gaps) -> bool:
    days = np.unique(times - _months_of(times).astype("datetime64[M]").astype("datetime64[us]").astype(np.int64))
    return len(days) == 1 and gaps.min() > _MONTH_DAYS[0] * DAY_US


def _months_of(times: np.ndarray) -> np.ndarray:
    """Return months since 1970, int64."""
    return times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)


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
