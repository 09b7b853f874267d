"""Reads panels of series from CSV and TSV files, row by row, in bounded memory."""

import csv
import dataclasses
from pathlib import Path
from typing import Any

from tfpar.checks import did_you_mean
from tfpar.data.readers.columns import format_names
from tfpar.data.readers.delimited import Dialect, read_delimited, suggest_delimiter
from tfpar.data.readers.splits import SPLIT_NAMES, SPLITS
from tfpar.data.readers.text_files import open_text
from tfpar.errors import UserError
from tfpar.tasks.time_series.cells import check_precision, parse_number
from tfpar.tasks.time_series.panel import Panel, Rows, make_panel
from tfpar.tasks.time_series.row_buffer import RowBuffer
from tfpar.tasks.time_series.times import TimeParser

ALL = ("all",)
_TRUTH = {"0": 0, "1": 1, "false": 0, "true": 1, "": -1, "0.0": 0, "1.0": 1}


@dataclasses.dataclass(frozen=True)
class PanelColumns:
    """Columns of a table of series, by name.

    Attributes:
        time: of times; "": rows are one step apart, in the order of the file.
        targets: of values to forecast; `ALL`: all other columns.
        past: covariates that are known up to now.
        known: covariates that are known ahead.
        static: covariates that are constant for a series.
        series: rows that are equal here belong to one series; "": there is one series.
        label: of anomalies, 0 or 1; "": no such column.
        split: of train, validation, test; may be missing if it is "split".
        time_format: see `TimeParser`.
    """

    time: str = ""
    targets: tuple[str, ...] = ALL
    past: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    series: str = ""
    label: str = ""
    split: str = "split"
    time_format: str = ""

    def resolve(self, path: Path, dialect: Dialect) -> "PanelColumns":
        """Return the columns with the targets by name; raise UserError if one is given twice or is not there."""
        names = read_header(path, dialect)
        if ALL == self.targets and "" in names:
            raise UserError(
                f"{path}: column {names.index('') + 1} has no name; name it, or name the columns of values by "
                "--target_columns"
            )
        others = [*self.past, *self.known, *self.static, *filter(None, (self.time, self.series, self.label))]
        targets = self.targets
        if targets == ALL:
            targets = tuple(name for name in names if name not in (*others, self.split))
        for name in (*targets, *others):
            if name not in names:
                raise UserError(
                    f"{path} has no column {name!r}; it has {format_names(names)}{did_you_mean(name, names)}"
                    f"{suggest_delimiter(dialect.delimiter.join(names), dialect, 2)}"
                )
        wanted = [*targets, *others]
        if twice := [name for name in wanted if wanted.count(name) > 1]:
            raise UserError(f"{path}: the column {twice[0]!r} is given twice; each may have one role")
        if not targets:
            raise UserError(f"{path} has no column of values besides {format_names(names)}; give --target_columns")
        return dataclasses.replace(self, targets=targets)


def read_header(path: Path, dialect: Dialect) -> list[str]:
    """Return the names in a file's first line."""
    with open_text(path, dialect.encoding) as file:
        line = file.readline()
    rows = csv.reader([line], delimiter=dialect.delimiter) if dialect.quoted else [line.split(dialect.delimiter)]
    names = [name.strip() for name in next(iter(rows), [])]
    if not any(names):
        raise UserError(f"{path} has no header; its first line must name the columns")
    return names


def read_panel(path: Path, dialect: Dialect, columns: PanelColumns) -> Panel:
    """Read a file with a header and a row for each step.

    Raises:
        UserError: the file cannot be read or lacks a column, a cell is not a number or a time, or times of a series do
            not ascend.
    """
    columns = columns.resolve(path, dialect)
    reader = _Reader(path, columns)
    options: dict[str, Any] = dict(split_column=columns.split, strict=True, has_header=True)
    with read_delimited(path, dialect, wanted=reader.wanted, **options) as (found, rows):
        for number, row in enumerate(rows, start=2):
            if isinstance(row, int) or len(row) != found.width:
                got = "malformed quoting" if isinstance(row, int) else f"{len(row)} fields"
                raise UserError(f"{path}, line {number}: expected {found.width} fields; got {got}")
            reader.add(number, [row[index] for index in found.fields], "" if found.split is None else row[found.split])
    return reader.finish(has_splits=found.split is not None)


class _Reader:
    """Collector of rows."""

    def __init__(self, path: Path, columns: PanelColumns):
        self._path, self._columns = path, columns
        self._values_of = (*columns.targets, *columns.past, *columns.known, *columns.static)
        roles = {"time_column": columns.time, "id_column": columns.series, "label_column": columns.label}
        self._roles = {role: name for role, name in roles.items() if name}
        self.wanted = {f"column {name}": name for name in self._values_of} | self._roles
        self._times = TimeParser(path, columns.time, columns.time_format)
        self._codes: dict[str, int] = {}
        self._counts: list[int] = []
        self._values = RowBuffer(len(self._values_of))
        self._keys = RowBuffer(2, "int64")
        self._marks = RowBuffer(2, "int8")

    def add(self, line: int, cells: list[str], split: str) -> None:
        """Add a row: the cells of `wanted` in this order, and the split."""
        values = [
            parse_number(self._path, line, cell, name) for cell, name in zip(cells, self._values_of, strict=False)
        ]
        roles = dict(zip(self._roles, (cell.strip() for cell in cells[len(values) :]), strict=True))
        code = self._codes.setdefault(roles.get("id_column", ""), len(self._codes))
        if code == len(self._counts):
            self._counts.append(0)
        time = roles.get("time_column")
        microseconds = self._counts[code] * 1_000_000 if time is None else self._times.parse(line, time)
        self._counts[code] += 1
        self._values.append(values)
        self._keys.append((code, microseconds))
        self._marks.append((self._split(line, split), self._label(line, roles.get("label_column"))))

    def _split(self, line, split) -> int:
        name = SPLIT_NAMES.get(split.strip().lower(), "train" if not split else "")
        if not name:
            raise UserError(
                f"{self._path}, line {line}: the column {self._columns.split!r} must be train, validation or test; got "
                f"{split[:40]!r}"
            )
        return SPLITS.index(name)

    def _label(self, line, label) -> int:
        if label is None:
            return -1
        if label.lower() not in _TRUTH:
            raise UserError(
                f"{self._path}, line {line}: the column {self._columns.label!r} must be 0 (normal), 1 (anomaly) or "
                f"empty; got {label[:40]!r}"
            )
        return _TRUTH[label.lower()]

    def finish(self, has_splits: bool) -> Panel:
        keys = self._keys.finish()
        rows = Rows(self._values.finish(), keys[:, 0], keys[:, 1], self._marks.finish())
        for name, least, most in zip(self._values_of, self._values.smallest, self._values.largest, strict=True):
            check_precision(f"{self._path}: the column {name!r}", least, most)
        self._times.check_kind()
        columns = self._columns
        panel = make_panel(
            rows,
            is_number=not columns.time or bool(self._times.is_number),
            has_splits=has_splits,
            has_labels=bool(columns.label),
            where=str(self._path),
            ids=tuple(self._codes),
            columns=self._values_of,
            targets=len(columns.targets),
            past=len(columns.past),
            static=len(columns.static),
            time_column=columns.time,
            id_column=columns.series,
        )
        return dataclasses.replace(panel, grid=dataclasses.replace(panel.grid, is_utc=bool(self._times.has_zone)))
