"""Histories: the ends of series in a table, from which an exported model forecasts; without TensorFlow."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfpar.data.readers.delimited import Dialect
from tfpar.errors import UserError
from tfpar.tasks.console import log
from tfpar.tasks.time_series.grids import Grid
from tfpar.tasks.time_series.panel import Panel
from tfpar.tasks.time_series.panel_tables import PanelColumns, read_header, read_panel
from tfpar.tasks.time_series.scaling import fit_scaling
from tfpar.tasks.time_series.times import calendar_features

_JITTER = 0.1  # by which the step of a file may differ from that of the training data


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

    def read(self, path: Path, columns: Sequence[str], label: str = "") -> Panel:
        """Read a table; the columns of times and of series may be missing.

        Args:
            path: of a csv or tsv file with a header.
            columns: names of the columns of values.
            label: the column of anomalies, see `PanelColumns`; "": there is none.

        Raises:
            UserError: see `read_panel`; or the times are not as far apart as those of the training data.
        """
        kind = path.suffix.removeprefix(".").lower()
        if kind not in ("csv", "tsv"):
            raise UserError(f"the series must be a .csv or .tsv file; got {str(path)!r}")
        dialect = Dialect(kind == "csv", self.delimiter)
        names = read_header(path, dialect)
        time, series = (name if name in names else "" for name in (self.time_column, self.id_column))
        roles = PanelColumns(
            time=time, targets=tuple(columns), series=series, label=label, time_format=self.time_format
        )
        panel = read_panel(path, dialect, roles)
        if time and len(panel.values) > len(panel.ids):
            self._check_step(path, panel.grid)
        return panel

    def _check_step(self, path, grid):
        if self.grid is None:
            return
        if self.grid.is_number != grid.is_number:
            own, others = ("numbers", "dates") if grid.is_number else ("dates", "numbers")
            raise UserError(f"{path}: the times are {own}, and those of the training data {others}")
        if self.grid.months != grid.months or abs(grid.step_us - self.grid.step_us) > _JITTER * self.grid.step_us:
            raise UserError(
                f"{path}: rows are {grid.step_us / 1e6:g} s apart, and those of the training data "
                f"{self.grid.step_us / 1e6:g} s; resample the file"
            )


@dataclasses.dataclass(frozen=True, eq=False)
class History:
    """The steps from which a forecast starts.

    Attributes:
        name: of the series; "" if the file has one.
        values: float32 (input_length, columns), NaN: missing; if columns are known ahead, with `horizon` more steps.
        times: of the forecast, [] if the file has none.
    """

    name: str
    values: np.ndarray
    times: list


@dataclasses.dataclass(frozen=True)
class HistoryReader:
    """Reader of histories.

    Attributes:
        table: how the table is written.
        targets: number of targets, the first columns.
        columns: names of the columns of values in the table.
        known: number of these that are known ahead, the last ones.
        calendar: names of calendar features, which follow them and are known ahead.
        input_length, horizon: of the model.
        statistics: means and deviations of the targets by series, which follow; those of other series are of their
            rows. None: there are no such columns.
        static: number of the known columns that are constant for a series, the last ones.
    """

    table: TableFormat
    targets: int
    columns: Sequence[str]
    known: int
    calendar: Sequence[str]
    input_length: int
    horizon: int
    statistics: Mapping[str, Sequence[float]] | None = None
    static: int = 0

    def read_ends(self, path: Path) -> list[History]:
        """Read the end of each series of a table; columns that are known ahead go on for `horizon` more rows.

        Raises:
            UserError: the file cannot be read, lacks a column, or a series has too few rows.
        """
        panel = self._read(path)
        found = panel.list_series(least=self.input_length + self._rows_ahead)
        for name, _, end in found:
            if not np.isnan(panel.values[end - self._rows_ahead : end, : self.targets]).all():
                of = f" of series {name!r}" if name else ""
                log(
                    f"{path}: the last {self._rows_ahead} rows{of} have values of the target, and are forecast all the "
                    "same: for steps after them, add rows with the columns that are known ahead"
                )
        return [self._make(panel, name, first, end - self._rows_ahead) for name, first, end in found]

    @property
    def _rows_ahead(self) -> int:
        """Rows of a table after the last step with values: those of columns that change and are known ahead."""
        return self.horizon if self.known > self.static else 0

    def read_origins(self, path: Path, at_most: int) -> Iterator[tuple[History, np.ndarray]]:
        """Yield histories with the values after them, float32 (horizon, targets), evenly spread over all origins.

        Raises:
            UserError: the file cannot be read, lacks a column, or is shorter than a window.
        """
        panel = self._read(path)
        origins = [
            (name, first, origin)
            for name, first, end in panel.list_series()
            for origin in range(first + self.input_length, end - self.horizon + 1)
        ]
        if not origins:
            needed = self.input_length + self.horizon
            raise UserError(f"{path} has no series of {needed} steps, {self.horizon} of which are compared")
        for index in np.unique(np.linspace(0, len(origins) - 1, min(len(origins), at_most)).astype(int)):
            name, first, origin = origins[index]
            truth = np.array(panel.values[origin : origin + self.horizon, : self.targets], np.float32)
            yield self._make(panel, name, first, origin), truth

    def _read(self, path) -> Panel:
        panel = self.table.read(path, self.columns)
        if self.calendar and not panel.time_column:
            raise UserError(
                f"{path} has no column {self.table.time_column!r}; this model takes the calendar from its times"
            )
        return panel

    def _make(self, panel, name, first, origin) -> History:
        """Make the history before a row of the panel, in the series that begins at `first`."""
        begin, end = origin - self.input_length, origin + self._rows_ahead
        grid = self.table.grid or panel.grid
        ahead = grid.extend(int(panel.times[origin - 1]), self.horizon)
        values = np.array(panel.values[begin:end], np.float32)
        if (self.static or self.calendar) and not self._rows_ahead:
            empty = np.full((self.horizon, values.shape[1]), np.nan, np.float32)
            values = np.concatenate([values, empty])
        if self.static:
            values[self.input_length :, -self.static :] = values[self.input_length - 1, -self.static :]
        if self.calendar:
            times = np.concatenate([panel.times[begin:origin], ahead])
            values = np.concatenate([values, calendar_features(times, self.calendar)], axis=1)
        if self.statistics is not None:
            own = self.statistics.get(name) or _fit_statistics(panel.values[first:origin, : self.targets])
            values = np.concatenate([values, np.tile(np.array(own, np.float32), (len(values), 1))], axis=1)
        shown = [panel.grid.format(int(one)) for one in ahead] if panel.time_column else []
        return History(name, values, shown)


def _fit_statistics(values):
    scaling = fit_scaling(values)
    return [*scaling.mean, *scaling.deviation]
