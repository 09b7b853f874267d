"""Reads series for a prediction from csv, tsv, ts and npz files, without TensorFlow."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfpar.data.readers.delimited import Dialect, read_delimited
from tfpar.errors import UserError
from tfpar.export.generic.arrays import read_arrays
from tfpar.tasks.time_series.cells import has_too_large, is_number, parse_number
from tfpar.tasks.time_series.panel_tables import read_header
from tfpar.tasks.time_series.ts_files import read_ts


def read_series(path: Path, channels: Sequence[str]) -> list[np.ndarray]:
    """Read series.

    Args:
        path: of a csv or tsv file with a header, a row for each step and these columns; of a ts file; or of an npz file
            with "series" (steps, channels) or (series, steps, channels). An empty cell or NaN is missing.
        channels: names of the columns; names that are numbers, and are not in the header, mean any columns, in the
            order of the file.

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
    header = read_header(path, dialect)
    # Numbers are names if the header has them; the one channel "0" of an array has none.
    is_named = not all(name.isdigit() for name in channels) or (set(channels) <= set(header) and channels != ["0"])
    wanted = {f"channel {name}": name for name in channels} if is_named else {"first column": "0"}
    rows = []
    options: dict[str, Any] = dict(split_column="split", strict=True, has_header=is_named)
    with read_delimited(path, dialect, wanted=wanted, **options) as (columns, cells):
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
