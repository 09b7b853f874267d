"""`Panel`: one series or many, on a regular grid of times."""

import dataclasses

import numpy as np

from tfpar.errors import UserError
from tfpar.tasks.time_series.grids import Grid, find_grid
from tfpar.tasks.time_series.row_buffer import ROWS, make_rows

NO_SPLIT = -1


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """Series on a regular grid.

    Attributes:
        where: the file or set, for errors.
        values: float32 (steps of all series, columns); NaN: missing.
        offsets: int64 (series + 1,), first step of each series, and the end.
        ids: name of each series.
        columns: name of each column; targets, then covariates of the past, then covariates that are known ahead.
        targets, past: number of columns of the first two kinds.
        static: number of columns that are constant for a series, the last ones that are known ahead in the source.
        calendar: names of the calendar features, columns that follow these.
        statistics: number of columns at the end, mean and deviation of each target in the training steps of the series.
        times: int64 (steps,), microseconds since 1970.
        grid: of the times.
        splits: int8 (steps,), index into SPLITS or `NO_SPLIT`; None: the source has no splits.
        labels: int8 (steps,), 1: anomaly, 0: normal, -1: unknown; None: the source has no labels.
        filled: number of steps that the source lacks.
        time_column, id_column: names of the columns of times and of series; "": the source has none.
        notice: license, attribution or citation to show to the user.
    """

    where: str
    values: np.ndarray
    offsets: np.ndarray
    ids: tuple[str, ...]
    columns: tuple[str, ...]
    targets: int
    past: int
    times: np.ndarray
    grid: Grid
    static: int = 0
    calendar: tuple[str, ...] = ()
    statistics: int = 0
    splits: np.ndarray | None = None
    labels: np.ndarray | None = None
    filled: int = 0
    time_column: str = ""
    id_column: str = ""
    notice: str = ""

    def list_series(self, least: int = 0) -> list[tuple[str, int, int]]:
        """List the series for a model that needs so many steps: name, first step, and end of each.

        Raises:
            UserError: a series has fewer than `least` steps.
        """
        ends = zip(self.offsets[:-1].tolist(), self.offsets[1:].tolist(), strict=True)
        found = [(name, first, end) for name, (first, end) in zip(self.ids, ends, strict=True)]
        for name, first, end in found:
            if end - first < least:
                which = f"the series {name!r} of {self.where}" if len(found) > 1 else self.where
                raise UserError(f"{which} has {end - first:,} steps; this model needs {least}")
        return found

    @property
    def lengths(self) -> np.ndarray:
        """The number of steps of each series, int64 (series,)."""
        return np.diff(self.offsets)

    @property
    def has_missing(self) -> bool:
        """Whether a value is missing."""
        chunks = range(0, len(self.values), ROWS)
        return any(bool(np.isnan(self.values[start : start + ROWS]).any()) for start in chunks)


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a source, in its order, before they are put on a grid.

    Attributes:
        values: float32 (rows, columns).
        codes: int32 (rows,), series of each row.
        times: int64 (rows,).
        marks: int8 (rows, 2), split and label of each row, see `Panel`.
    """

    values: np.ndarray
    codes: np.ndarray
    times: np.ndarray
    marks: np.ndarray


def make_panel(rows: Rows, is_number: bool, has_splits: bool, has_labels: bool, **fields) -> Panel:
    """Sort rows by series and put them on a regular grid, in bounded memory; steps that are missing become NaN.

    Args:
        rows: of the source.
        is_number: whether times are numbers.
        has_splits, has_labels: whether `rows.marks` has them.
        **fields: other attributes of `Panel`.

    Raises:
        UserError: there is no row, times do not ascend within a series, or all values of a target are missing.
    """
    where = fields["where"]
    if not len(rows.values):
        raise UserError(f"{where} has no data rows below its header; expected a row for each step")
    _check_targets(where, rows.values, fields["columns"][: fields["targets"]])
    rows, offsets = _group(rows, len(fields["ids"]))
    grid = find_grid(where, rows.times, offsets, is_number)
    steps, ends = _find_steps(rows.times, offsets, grid)
    filled = int(ends[-1]) - len(rows.values)
    if filled:
        rows = _spread(rows, steps, int(ends[-1]), grid)
    return Panel(
        values=rows.values,
        offsets=np.concatenate([[0], ends]).astype(np.int64),
        times=rows.times,
        grid=grid,
        splits=rows.marks[:, 0] if has_splits else None,
        labels=rows.marks[:, 1] if has_labels else None,
        filled=filled,
        **fields,
    )


def find_descent(values: np.ndarray) -> int | None:
    """Return the first index whose value is below the one before; None if there is none."""
    for start in range(0, len(values) - 1, ROWS):
        is_below = np.diff(values[start : start + ROWS + 1]) < 0
        if is_below.any():
            return start + int(np.argmax(is_below)) + 1
    return None


def _group(rows: Rows, series: int) -> tuple[Rows, np.ndarray]:
    """Return the rows series by series, in the order of the source within each; and the offsets of the series."""
    counts = np.zeros(series, np.int64)
    for start in range(0, len(rows.codes), ROWS):
        counts += np.bincount(rows.codes[start : start + ROWS], minlength=series)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    if find_descent(rows.codes) is None:
        return rows, offsets
    grouped = _make_empty(len(rows.codes), rows.values.shape[1])
    following = offsets[:-1].copy()  # the next free row of each series
    for start in range(0, len(rows.codes), ROWS):
        chunk = slice(start, start + ROWS)
        order = np.argsort(rows.codes[chunk], kind="stable")
        codes = np.asarray(rows.codes[chunk])[order]
        found, first, sizes = np.unique(codes, return_index=True, return_counts=True)
        target = following[codes] + np.arange(len(codes)) - np.repeat(first, sizes)
        following[found] += sizes
        for name, array in vars(grouped).items():
            array[target] = getattr(rows, name)[chunk][order]
    return grouped, offsets


def _make_empty(steps: int, columns: int) -> Rows:
    """Make rows in files."""
    codes, times = make_rows(steps, 1, "int32")[:, 0], make_rows(steps, 1, "int64")[:, 0]
    return Rows(make_rows(steps, columns), codes, times, make_rows(steps, 2, "int8"))


def _find_steps(times: np.ndarray, offsets: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Return the step of each row, int64 (rows,), and the end of each series, int64 (series,)."""
    steps, ends = make_rows(len(times), 1, "int64")[:, 0], []
    end = 0
    for first, last in zip(offsets[:-1], offsets[1:], strict=True):
        steps[first] = end
        for start in range(first, last - 1, ROWS):
            chunk = slice(start, min(start + ROWS + 1, last))
            steps[chunk] = steps[start] + grid.positions(times[chunk])
        end = int(steps[last - 1]) + 1
        ends.append(end)
    return steps, np.array(ends, np.int64)


def _spread(rows: Rows, steps: np.ndarray, count: int, grid: Grid) -> Rows:
    """Move rows to their steps; other steps are missing, and belong to the split of the step before."""
    spread = _make_empty(count, rows.values.shape[1])
    for start in range(0, len(steps), ROWS):
        chunk = slice(start, start + ROWS)
        own = np.asarray(steps[chunk])
        end = int(steps[start + ROWS]) if start + ROWS < len(steps) else count
        all_steps = np.arange(own[0], end)
        source = np.searchsorted(own, all_steps, side="right") - 1
        since = all_steps - own[source]
        is_filled = since > 0
        values, marks = rows.values[chunk][source], rows.marks[chunk][source]
        values[is_filled] = np.nan
        marks[is_filled, 1] = -1
        target = slice(int(own[0]), end)
        spread.values[target], spread.marks[target] = values, marks
        spread.codes[target] = rows.codes[chunk][source]
        spread.times[target] = grid.shift(rows.times[chunk][source], since)
    return spread


def _check_targets(where, values, names) -> None:
    has_value = np.zeros(len(names), bool)
    for start in range(0, len(values), ROWS):
        has_value |= (~np.isnan(values[start : start + ROWS, : len(names)])).any(axis=0)
    for name, found in zip(names, has_value, strict=True):
        if not found:
            raise UserError(f"{where}: all values of the column {name!r} are missing; remove it from --target_columns")
