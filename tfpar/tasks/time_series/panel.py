"""`Panel`: one series or many, on a regular grid of times."""

import dataclasses

import numpy as np

from tfpar.errors import UserError
from tfpar.tasks.time_series.row_buffer import make_rows
from tfpar.tasks.time_series.times import Grid, find_grid

_ROWS = 1 << 16
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
        times: int64 (steps,), microseconds since 1970.
        grid: of the times.
        splits: int8 (steps,), index into SPLITS or `NO_SPLIT`; None: the source has no splits.
        labels: int8 (steps,), 1: anomaly, 0: normal, -1: unknown; None: the source has no labels.
        filled: number of steps that the source lacks.
        time_column: name of the column of times; "": the source has none.
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
    splits: np.ndarray | None = None
    labels: np.ndarray | None = None
    filled: int = 0
    time_column: str = ""
    notice: str = ""

    @property
    def lengths(self) -> np.ndarray:
        """The number of steps of each series, int64 (series,)."""
        return np.diff(self.offsets)

    @property
    def has_missing(self) -> bool:
        """Whether a value is missing."""
        chunks = range(0, len(self.values), _ROWS)
        return any(bool(np.isnan(self.values[start : start + _ROWS]).any()) for start in chunks)


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
    """Sort rows by series and put them on a regular grid; steps that are missing become NaN.

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
    rows = _group(rows)
    offsets = np.concatenate([np.flatnonzero(np.diff(rows.codes, prepend=-1)), [len(rows.codes)]]).astype(np.int64)
    grid = find_grid(where, rows.times, offsets, is_number)
    pieces = [grid.positions(rows.times[a:b]) for a, b in zip(offsets[:-1], offsets[1:], strict=True)]
    lengths = np.array([int(piece[-1]) + 1 for piece in pieces])
    ends = np.cumsum(lengths)
    filled = int(ends[-1]) - len(rows.values)
    if filled:
        target = np.concatenate([piece + start for piece, start in zip(pieces, ends - lengths, strict=True)])
        rows = _spread(rows, target, int(ends[-1]), grid)
    _check_targets(where, rows.values, fields["columns"][: fields["targets"]])
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


def _group(rows: Rows) -> Rows:
    """Return the rows series by series, in the order of the source within each."""
    if (np.diff(rows.codes) >= 0).all():
        return rows
    order = np.argsort(rows.codes, kind="stable")
    values = make_rows(*rows.values.shape)
    for start in range(0, len(order), _ROWS):
        values[start : start + _ROWS] = rows.values[order[start : start + _ROWS]]
    return Rows(values, rows.codes[order], rows.times[order], rows.marks[order])


def _spread(rows: Rows, target: np.ndarray, steps: int, grid: Grid) -> Rows:
    """Move rows to their steps; other steps are missing, and belong to the split of the step before."""
    values = make_rows(steps, rows.values.shape[1])
    for start in range(0, steps, _ROWS):
        values[start : start + _ROWS] = np.nan
    for start in range(0, len(target), _ROWS):
        values[target[start : start + _ROWS]] = rows.values[start : start + _ROWS]
    source = np.zeros(steps, np.int64)
    source[target] = np.arange(len(target))
    source = np.maximum.accumulate(source)
    since = np.arange(steps) - target[source]
    marks = rows.marks[source]
    marks[since > 0, 1] = -1
    return Rows(values, rows.codes[source], grid.shift(rows.times[source], since), marks)


def _check_targets(where, values, names) -> None:
    has_value = np.zeros(len(names), bool)
    for start in range(0, len(values), _ROWS):
        has_value |= (~np.isnan(values[start : start + _ROWS, : len(names)])).any(axis=0)
    for name, found in zip(names, has_value, strict=True):
        if not found:
            raise UserError(f"{where}: all values of the column {name!r} are missing; remove it from --target_columns")
