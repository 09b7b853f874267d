"""Reads labeled series from CSV and TSV files and from NumPy arrays."""

import itertools
from pathlib import Path

import numpy as np

from tfpar.data.readers.columns import Columns
from tfpar.data.readers.delimited import Dialect, clean_cell, read_delimited, read_split
from tfpar.data.readers.npz_files import read_npz
from tfpar.data.readers.splits import SPLIT_NAMES
from tfpar.errors import UserError
from tfpar.tasks.time_series.cells import check_array, check_precision, has_too_large, parse_number
from tfpar.tasks.time_series.labeled import CollectedSeries
from tfpar.tasks.time_series.times import TimeParser

FIRST = "0"  # the label's column in files of the UCR archive


def read_wide_table(
    path: Path, dialect: Dialect, label_column: str, split_column: str, steps: tuple[str, ...] = ()
) -> CollectedSeries:
    """Read a file with one univariate series in each row: a label, and the values of all steps.

    Args:
        path: of the file.
        dialect: how its rows are written.
        label_column: by name; or by number from 0, in a file without a header, as those of the UCR archive.
        split_column: of train, validation, test; it may be missing if it is called "split".
        steps: the columns of values, in the order of time; (): all others.

    Raises:
        UserError: a column is missing, a value is not a number, or a row has another number of fields.
    """
    collected = CollectedSeries(str(path), channels=("value",))
    wanted = {"label_column": label_column} | {f"target_columns[{index}]": name for index, name in enumerate(steps)}
    least, most = np.inf, -np.inf
    with read_delimited(path, dialect, wanted=wanted, split_column=split_column, strict=True) as (columns, rows):
        others = [i for i in range(columns.width) if i not in (columns.fields[0], columns.split)]
        values = columns.fields[1:] or others
        first = 2 if columns.header else 1
        for number, line in enumerate(rows, start=first):
            row = _check_row(path, number, line, columns)
            cells = [parse_number(path, number, row[index]) for index in values]
            while cells and np.isnan(cells[-1]):  # shorter series end early
                cells.pop()
            least, most = np.fmin.reduce([least, *cells]), np.fmax.reduce([most, *cells])
            _add(collected, path, number, np.array(cells, np.float32)[:, None], row, columns)
    check_precision(f"{path}: each value", least, most)
    collected.given_rule = describe_split_column(path, columns, collected.splits)
    return collected


def read_long_table(
    path: Path,
    dialect: Dialect,
    id_column: str,
    label_column: str,
    channels: tuple[str, ...],
    split_column: str,
    time_column: str = "",
    time_format: str = "",
) -> CollectedSeries:
    """Read a file with one step in each row: the series that it belongs to, its label, and the value of each channel.

    Args:
        path, dialect, split_column: see `read_wide_table`.
        id_column: equal cells belong to one series.
        label_column: equal in all rows of a series.
        channels: the columns of values.
        time_column, time_format: by which the rows of each series are sorted, see `TimeParser`; "": they are sorted.

    Raises:
        UserError: a column is missing, a value is not a number, or the rows of a series disagree.
    """
    wanted = {"id_column": id_column, "label_column": label_column}
    wanted |= {"time_column": time_column} if time_column else {}
    wanted |= {f"target_columns[{index}]": name for index, name in enumerate(channels)}
    times = TimeParser(path, time_column, time_format)
    steps: dict[str, list[tuple[int, list[float]]]] = {}
    facts: dict[str, tuple[str, str]] = {}
    with read_delimited(path, dialect, wanted=wanted, split_column=split_column, strict=True) as (columns, rows):
        for number, line in enumerate(rows, start=2):
            row = _check_row(path, number, line, columns)
            name, label, *cells = (clean_cell(row[index]) for index in columns.fields)
            fact = (label, _read_split(path, number, row, columns))
            if facts.setdefault(name, fact) != fact:
                raise UserError(
                    f"{path}, line {number}: series {name!r} has the label and split {facts[name]} before and {fact} "
                    "here; all rows of a series must have one of each"
                )
            time = times.parse(number, cells.pop(0)) if time_column else number
            steps.setdefault(name, []).append((time, [parse_number(path, number, cell) for cell in cells]))
    collected = CollectedSeries(str(path), channels=channels)
    times.check_kind()
    for name, rows_of in steps.items():
        rows_of.sort(key=lambda row: row[0])
        if any(row[0] == following[0] for row, following in itertools.pairwise(rows_of)):
            raise UserError(f"{path}: a time occurs twice in series {name!r}; remove one of the rows")
        collected.series.append(np.array([values for _, values in rows_of]))
        collected.labels.append(facts[name][0])
        collected.splits.append(facts[name][1])
    check_array(f"{path}: --target_columns", np.concatenate(collected.series or [np.zeros((0, len(channels)))]))
    collected.series = [series.astype(np.float32) for series in collected.series]
    collected.given_rule = describe_split_column(path, columns, collected.splits)
    return collected


def read_labeled_arrays(path: Path) -> CollectedSeries:
    """Read an npz file with x (series, steps[, channels]), y (series,) and, if it is there, split (series,).

    NaN is missing; series end at their last value.

    Raises:
        UserError: the file cannot be read, or the arrays do not fit.
    """
    try:
        arrays = read_npz(path, ("x", "y"), ("split",))
        x, y = arrays["x"], arrays["y"].reshape(-1)
        splits = [str(name).lower() for name in arrays.get("split", np.full(len(y), "train"))]
    except Exception as error:  # NumPy and zipfile raise many kinds of errors for damaged files
        why = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path} must be an npz file with the arrays x and y, and may have split: {why}") from error
    x = x[:, :, None] if x.ndim == 2 else x
    if x.ndim != 3 or not x.size or x.dtype.kind not in "fiu" or not len(x) == len(y) == len(splits):
        raise UserError(
            f"{path}: x must be numbers (series, steps, channels), and y and split (series,); got {x.dtype} {x.shape}, "
            f"{y.shape} and {len(splits)} splits"
        )
    if has_too_large(x):
        raise UserError(f"{path}: x has infinite values, or values beyond float32; give NaN where they are missing")
    if unknown := set(splits) - set(SPLIT_NAMES):
        raise UserError(f"{path}: split must be train, validation or test; got {sorted(unknown)[0]!r}")
    check_array(f"{path}: x", x)
    lengths = (~np.isnan(x).all(axis=2) * np.arange(1, x.shape[1] + 1)).max(axis=1)
    series = [one[:length].astype(np.float32) for one, length in zip(x, lengths, strict=True)]
    rule = f"as the array split of {path}" if len(set(splits)) > 1 else ""
    return CollectedSeries(
        str(path), (), series, [_as_text(label) for label in y], [SPLIT_NAMES[name] for name in splits], given_rule=rule
    )


def _as_text(label) -> str:
    """Return a label of an array: bytes as UTF-8, and whole numbers without a fraction.

    >>> _as_text(np.float64(2)), _as_text(b"up")
    ('2', 'up')
    """
    if isinstance(label, bytes):
        return label.decode(errors="replace")
    is_whole = isinstance(label, np.floating) and abs(label) < 2**53 and label == int(label)
    return str(int(label)) if is_whole else str(label)


def describe_split_column(path: Path, columns: Columns, splits: list[str]) -> str:
    """Return the split rule of a file; raise UserError if its split column has no row for training."""
    if not splits:
        raise UserError(f"{path} has no data rows below its header; expected a line per example")
    if columns.split is None:
        return ""
    if "train" not in splits:
        raise UserError(f"{path}: the column {columns.split_name!r} has no row with the value 'train'")
    return f"as column {columns.split_name!r} of the file"


def _add(collected, path, number, series, row, columns) -> None:
    collected.series.append(series)
    collected.labels.append(clean_cell(row[columns.fields[0]]))
    collected.splits.append(_read_split(path, number, row, columns))


def _check_row(path, number, row, columns) -> list[str]:
    if isinstance(row, int) or len(row) != columns.width:
        got = "malformed quoting" if isinstance(row, int) else f"{len(row)} fields"
        raise UserError(f"{path}, line {number}: expected {columns.width} fields; got {got}")
    return row


def _read_split(path, number, row, columns) -> str:
    split = read_split(row, columns)
    if split not in SPLIT_NAMES.values():
        raise UserError(
            f"{path}, line {number}: the column {columns.split_name!r} must be train, validation or test; got "
            f"{row[columns.split]!r}"
        )
    return split
