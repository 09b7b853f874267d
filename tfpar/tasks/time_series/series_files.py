"""Reads series for a prediction from csv, tsv, ts and npz files, without TensorFlow."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfpar.data.readers.delimited import Dialect, read_delimited
from tfpar.errors import UserError
from tfpar.export.generic.arrays import read_arrays
from tfpar.tasks.time_series.cells import has_too_large, is_number, parse_number
from tfpar.tasks.time_series.grids import Grid
from tfpar.tasks.time_series.panel import Panel
from tfpar.tasks.time_series.panel_tables import PanelColumns, read_header, read_panel
from tfpar.tasks.time_series.scaling import fit_scaling
from tfpar.tasks.time_series.times import calendar_features
from tfpar.tasks.time_series.ts_files import read_ts

_JITTER = 0.1  # by which the step of a file may differ from that of the training data


def read_series(path: Path, channels: Sequence[str]) -> list[np.ndarray]:
    """Read series.

    Args:
        path: of a csv or tsv file with a header, a row for each step and these columns; of a ts file; or of an npz file
            with "series" (steps, channels) or (series, steps, channels). An empty cell or NaN is missing.
        channels: names of the columns; names that are numbers mean any columns, in the order of the file.

    Returns:
        float32 (steps, channels) each.

    Raises:
        UserError: the file cannot be read, lacks a column, or holds something else than numbers.
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind == "ts":
        return [series for series, _ in read_ts(path)]
    if kind == "npz":
        array = read_arrays("npz", path, {"series": ()})["series"]
        array = array[None] if array.ndim == 2 else array
        if array.ndim != 3 or array.dtype.kind not in "fiu" or has_too_large(array):
            raise UserError(
                f"{path}: series must be finite numbers (series, steps, channels); got {array.dtype} {array.shape}"
            )
        return [one[: _last_step(one)].astype(np.float32) for one in array]
    if kind not in ("csv", "tsv"):
        raise UserError(f"a file of series must end in .csv, .tsv, .ts or .npz; got {str(path)!r}")
    return [_read_table(path, Dialect(kind == "csv"), channels)]


def _last_step(series: np.ndarray) -> int:
    """Return the number of steps up to the last one with a value."""
    return int((~np.isnan(series).all(axis=1) * np.arange(1, len(series) + 1)).max(initial=0))


def _read_table(path: Path, dialect: Dialect, channels: Sequence[str]) -> np.ndarray:
    is_named = not all(name.isdigit() for name in channels)
    wanted = {f"channel {name}": name for name in channels} if is_named else {"first column": "0"}
    rows = []
    with read_delimited(path, dialect, wanted=wanted, split_column="split", strict=True) as (columns, cells):
        indices = columns.fields if is_named else range(len(channels))
        for number, row in enumerate(cells, start=2 if columns.header else 1):
            if isinstance(row, int) or len(row) != columns.width:
                raise UserError(f"{path}, line {number}: expected {columns.width} fields")
            if number == 1 and not is_named and not any(map(is_number, row)):
                continue  # a header
            if len(row) < len(channels):
                raise UserError(f"{path}, line {number}: expected {len(channels)} fields; got {len(row)}")
            rows.append([parse_number(path, number, row[index]) for index in indices])
    if not rows:
        raise UserError(f"{path} has no data rows; expected one for each step")
    return np.array(rows, np.float32)


@dataclasses.dataclass(frozen=True)
class TableFormat:
    """How the tables of an export's training data were written, from its manifest.

    Attributes:
        time_column, id_column: names; "": there is no such column.
        time_format: see `tfpar.tasks.time_series.times.TimeParser`.
        delimiter: of csv and tsv files; "": comma, tab.
        grid: of the training data; None: any.
    """

    time_column: str = ""
    id_column: str = ""
    time_format: str = ""
    delimiter: str = ""
    grid: Grid | None = None

    @classmethod
    def from_manifest(cls, series: Mapping[str, Any]) -> "TableFormat":
        """Read the field "series" of a manifest."""
        names = ("time_column", "id_column", "time_format", "delimiter")
        grid = Grid(**series["grid"]) if "grid" in series else None
        return cls(**{name: series.get(name, "") for name in names}, grid=grid)

    def read(self, path: Path, columns: Sequence[str]) -> Panel:
        """Read a table; the columns of times and of series may be missing.

        Raises:
            UserError: see `read_panel`; or the times are not as far apart as those of the training data.
        """
        kind = path.suffix.removeprefix(".").lower()
        if kind not in ("csv", "tsv"):
            raise UserError(f"the series must be a .csv or .tsv file; got {str(path)!r}")
        dialect = Dialect(kind == "csv", self.delimiter)
        names = read_header(path, dialect)
        time, series = (name if name in names else "" for name in (self.time_column, self.id_column))
        roles = PanelColumns(time=time, targets=tuple(columns), series=series, time_format=self.time_format)
        panel = read_panel(path, dialect, roles)
        if time and len(panel.values) > len(panel.ids):
            self._check_step(path, panel.grid)
        return panel

    def _check_step(self, path, grid):
        if self.grid is None or self.grid.is_number != grid.is_number:
            return
        if self.grid.months != grid.months or abs(grid.step_us - self.grid.step_us) > _JITTER * self.grid.step_us:
            raise UserError(
                f"{path}: rows are {grid.step_us / 1e6:g} s apart, and those of the training data "
                f"{self.grid.step_us / 1e6:g} s; resample the file"
            )


@dataclasses.dataclass(frozen=True, eq=False)
class History:
    """The end of a series, from which a forecast starts.

    Attributes:
        name: of the series; "" if the file has one.
        values: float32 (steps, columns), NaN: missing; see `read_histories`.
        times: of the forecast, [] if the file has none.
    """

    name: str
    values: np.ndarray
    times: list


def read_histories(
    path: Path,
    table: TableFormat,
    columns: Sequence[str],
    calendar: Sequence[str],
    input_length: int,
    horizon: int,
    known: int = 0,
    statistics: Mapping[str, Sequence[float]] | None = None,
    targets: int = 0,
) -> list[History]:
    """Read the end of each series of a table.

    Steps that are missing become NaN. Columns that are known ahead go on for `horizon` more rows, in which the others
    are empty.

    Args:
        path: of a csv or tsv file with a header.
        table: how it is written.
        columns: names of its columns of values; the last `known` ones are known ahead.
        calendar: names of calendar features, which follow them.
        input_length, horizon: of the model.
        known: number of columns that are known ahead.
        statistics: means and deviations of the targets by series, which follow the calendar; those of a series that is
            not there are of its rows in the file. None: there are no such columns.
        targets: number of them, the first columns.

    Returns:
        Histories of `input_length` steps, and of `horizon` more if there are `known` columns or calendar features.

    Raises:
        UserError: the file cannot be read, lacks a column, or a series has too few rows.
    """
    panel = table.read(path, columns)
    if calendar and not panel.time_column:
        raise UserError(
            f"{path} has no column {table.time_column!r} of times, from which this model takes the calendar"
        )
    needed = input_length + (horizon if known else 0)
    histories = []
    for name, first, last in zip(panel.ids, panel.offsets[:-1], panel.offsets[1:], strict=True):
        if last - first < needed:
            which = f"the series {name!r} of {path}" if len(panel.ids) > 1 else f"{path}"
            raise UserError(f"{which} has {last - first:,} steps; this model needs {needed}")
        times = np.array(panel.times[last - needed : last])
        grid = table.grid or panel.grid
        ahead = grid.extend(int(times[input_length - 1]), horizon)
        values = np.array(panel.values[last - needed : last], np.float32)
        if calendar:
            if not known:
                values = np.concatenate([values, np.full((horizon, values.shape[1]), np.nan, np.float32)])
                times = np.concatenate([times, ahead])
            values = np.concatenate([values, calendar_features(times, calendar)], axis=1)
        if statistics is not None:
            seen = panel.values[first : last - (horizon if known else 0), :targets]
            own = statistics.get(name) or _fit_statistics(seen)
            values = np.concatenate([values, np.tile(np.array(own, np.float32), (len(values), 1))], axis=1)
        shown = [panel.grid.format(int(one)) for one in ahead] if panel.time_column else []
        histories.append(History(name, values, shown))
    return histories


def _fit_statistics(values):
    scaling = fit_scaling(values)
    return [*scaling.mean, *scaling.deviation]
