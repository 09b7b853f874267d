"""`Grid`: the regular grid that the times of a panel lie on."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from tfpar.errors import UserError
from tfpar.tasks.time_series.row_buffer import ROWS, make_rows

DAY_US = 24 * 3600 * 1_000_000
_LEAST_MONTH_US = 27 * DAY_US
_MOST_FILLED = 20  # steps of the grid for each row of the file, at most
_TOLERANCE = 0.25  # in steps, between a gap and a multiple of the step
_MOST_OFF_GRID = 0.5  # of the gaps, where steps are missing
_MOST_MASKED_OFF_GRID = 0.1  # of the steps, where most gaps are off the grid
_BETWEEN_SERIES = np.iinfo(np.int64).max


@dataclasses.dataclass(frozen=True)
class Grid:
    """A regular grid of times.

    Attributes:
        step_us: microseconds between two steps; of months, their mean.
        months: months between two steps; 0: the step is a duration.
        is_number: whether times are numbers, in seconds of `step_us`.
        is_month_end: each time is the last day of a month, so that its day differs from month to month.
        is_utc: times had an offset from UTC, and were converted.
    """

    step_us: int
    months: int = 0
    is_number: bool = False
    is_month_end: bool = False
    is_utc: bool = False

    @property
    def _lead_us(self) -> int:
        """Microseconds from a time to a fixed day of a month: the day after the last one is the first."""
        return DAY_US if self.is_month_end else 0

    def positions(self, times: np.ndarray) -> np.ndarray:
        """Return the position on the grid of each time of a series, from 0: int64 (times,)."""
        if self.months:
            months = _months_of(times + self._lead_us) // self.months
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
        dates = (times + self._lead_us).astype("datetime64[us]")
        months = dates.astype("datetime64[M]")
        offset = dates - months.astype("datetime64[us]")
        after = months + self.months * steps
        # No later than on the last day of a month, which may have fewer days.
        latest = (after + 1).astype("datetime64[us]") - after.astype("datetime64[us]") - np.timedelta64(DAY_US, "us")
        time_of_day = offset % np.timedelta64(DAY_US, "us")
        offset = np.minimum(offset - time_of_day, latest) + time_of_day
        return (after.astype("datetime64[us]") + offset).astype(np.int64) - self._lead_us

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
        if self.is_utc:
            return text.removesuffix(".000000") + "Z"
        return text[:10] if text.endswith("T00:00:00.000000") else text.removesuffix(".000000")


def find_grid(where: str, times: np.ndarray, offsets: np.ndarray, is_number: bool) -> Grid:
    """Find the grid of the times of all series, in bounded memory.

    Args:
        where: the file, for errors.
        times: int64 (rows,), in microseconds, series by series.
        offsets: int64 (series + 1,), first row of each series, and the end.
        is_number: whether times are numbers.

    Raises:
        UserError: times of a series are not ascending, or so irregular that most steps of the grid are missing.
    """
    gaps = make_rows(max(0, len(times) - len(offsets) + 1), 1, "int64")[:, 0]
    count, total = 0, 0.0
    for row, chunk in _inner_gaps(times, offsets):
        if (chunk <= 0).any():
            _refuse_order(where, times, offsets, is_number, row + int(np.argmax(chunk <= 0)))
        chunk = chunk[chunk < _BETWEEN_SERIES]
        gaps[count : count + len(chunk)] = chunk
        count, total = count + len(chunk), total + float(chunk.sum())
    if not count:
        return Grid(DAY_US, is_number=is_number)
    middle = (count - 1) // 2  # of the lower median: gaps of missing steps are longer
    gaps.partition(middle)
    step = int(gaps[middle])
    if not is_number and step > _LEAST_MONTH_US and (grid := _find_months(times, offsets, step)):
        return grid
    if total / step > _MOST_FILLED * (count + 10):
        raise UserError(
            f"{where}: the times are too irregular: rows are mostly {step / 1e6:g} s apart, but {count + 1:,} rows "
            f"span {total / step:,.0f} such steps, so that {1 - count / (total / step):.0%} of the steps would be "
            "masked. Resample the file to a regular step"
        )
    _check_regularity(where, gaps[:count], step)
    return Grid(step, is_number=is_number)


def _check_regularity(where, gaps, step_us):
    """Refuse gaps that are mostly no multiples of the step: a grid would move rows in time, and mask other steps."""
    off_grid, steps = 0, 0.0
    for start in range(0, len(gaps), ROWS):
        ratios = gaps[start : start + ROWS] / step_us
        nearest = np.maximum(1, np.round(ratios))
        off_grid += int((np.abs(ratios - nearest) > _TOLERANCE).sum())
        steps += float(nearest.sum())
    masked = 1 - len(gaps) / steps
    if off_grid > _MOST_OFF_GRID * len(gaps) and masked > _MOST_MASKED_OFF_GRID:
        raise UserError(
            f"{where}: the times are too irregular: {off_grid / len(gaps):.0%} of the gaps between rows are no "
            f"multiple of {step_us / 1e6:g} s, the usual gap, so that {masked:.0%} of the steps would be masked. "
            "Resample the file to a regular step"
        )


def _inner_gaps(times: np.ndarray, offsets: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield a row, and the differences of consecutive times from it on; `_BETWEEN_SERIES` before another series."""
    for start in range(0, len(times) - 1, ROWS):
        gaps = np.diff(times[start : start + ROWS + 1])
        first, last = np.searchsorted(offsets, (start + 1, start + len(gaps)), side="left")
        ends = offsets[first : last + 1] - 1 - start
        gaps[ends[(ends >= 0) & (ends < len(gaps))]] = _BETWEEN_SERIES
        yield start, gaps


def _refuse_order(where, times, offsets, is_number, row):
    is_equal = times[row] == times[row + 1]
    problem = "occurs twice" if is_equal else "is before the previous one"
    remedy = "remove one row" if is_equal else "sort the file by time"
    several = " within a series; give --id_column if the file holds several series" if len(offsets) == 2 else ""
    time = Grid(1, is_number=is_number).format(times[row + 1])
    raise UserError(f"{where}: times must ascend{several}; the time {time} {problem}. Sort or clean it: {remedy}")


def _find_months(times: np.ndarray, offsets: np.ndarray, step_us: int) -> Grid | None:
    """Return a grid of whole months if all times are the same day of a month, or all are the last one.

    So are times in different months whose gaps differ, such as the first days of local months in UTC.
    """
    for is_month_end in (False, True):
        months = _months_of(times + DAY_US * is_month_end)
        days = times + DAY_US * is_month_end - months.astype("datetime64[M]").astype("datetime64[us]").astype(np.int64)
        gaps = np.delete(np.diff(months), offsets[1:-1] - 1)
        is_such = days.max() < DAY_US if is_month_end else len(np.unique(days)) == 1
        if is_such and gaps.min() > 0:
            return Grid(step_us, int(np.sort(gaps)[(len(gaps) - 1) // 2]), is_month_end=is_month_end)
    months = _months_of(times)
    gaps, durations = (np.delete(np.diff(each), offsets[1:-1] - 1) for each in (months, times))
    usual = int(np.sort(gaps)[(len(gaps) - 1) // 2])
    if usual and gaps.min() > 0 and (gaps % usual == 0).all() and (durations % step_us).any():
        return Grid(step_us, usual)
    return None


def _months_of(times: np.ndarray) -> np.ndarray:
    """Return months since 1970, int64."""
    return times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
