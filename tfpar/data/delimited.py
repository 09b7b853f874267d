"""Reads the rows of a CSV or TSV file that people made, with all that people's files contain.

CSV may quote fields (quotes doubled, newlines inside); in TSV a quote is a character like any other.
"""

import contextlib
import csv
import io
import itertools
from collections.abc import Iterator
from pathlib import Path

from tfpar.data.columns import Columns, shown
from tfpar.data.splits import SPLITS
from tfpar.data.text_files import opened
from tfpar.errors import UserError

UNLABELLED = "unlabelled"
MALFORMED = "malformed quoting"
WRONG_WIDTH = "wrong number of fields"
UNKNOWN_SPLIT = "unknown split"
_SPLIT_NAMES = {name: name for name in (*SPLITS, UNLABELLED)} | {
    "training": "train",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "testing": "test",
    "unsupervised": UNLABELLED,
}
# The largest limit that fits a C long everywhere; the default, 128 KiB, is less than one long document.
_FIELD_LIMIT_BYTES = 2**31 - 1


@contextlib.contextmanager
def delimited_rows(
    path: Path, *, quoted: bool, wanted: dict[str, str], split_column: str, strict: bool = False
) -> Iterator[tuple[Columns, Iterator[list[str] | int]]]:
    """Opens the file and finds its columns.

    Args:
        path: the file; UTF-8, with or without a byte order mark.
        quoted: True: commas and quotes (CSV); False: tabs, no quoting (TSV).
        wanted: argument name -> column; see `Columns.find`.
        split_column: may be missing if it is called "split".
        strict: refuse a file with a line that is not UTF-8; else such bytes come as lone surrogates.

    Yields:
        The columns, and the rows below the header; for lines that cannot be parsed, their number.

    Raises:
        UserError: no such file, not UTF-8, no row, a column is missing, or a quote is never closed.
    """
    with opened(path, strict=strict) as file:
        # Undecodable bytes become lone surrogates, which nothing else can: that is how a bad row is told later.
        lines = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="" if quoted else "\n")
        rows = _filled(_csv_rows(path, lines) if quoted else _tsv_rows(lines))
        first = next((row for row in rows if isinstance(row, list)), None)
        if first is None:
            raise UserError(f"{path} has no data rows; expected a line per example")
        columns = Columns.find(path, first, wanted, split_column)
        yield columns, rows if columns.header else itertools.chain([first], rows)


def split_of(row: list[str], columns: Columns) -> str:
    """The split that a row names: one of SPLITS or UNLABELLED, "train" without such a column, "" if it is unknown."""
    if columns.split is None:
        return "train"
    return _SPLIT_NAMES.get(row[columns.split].strip().lower(), "")


def check_train(path: Path, columns: Columns, splits: list[str]) -> None:
    """Raises UserError if the split column names no row for training."""
    if "train" not in splits:
        raise UserError(
            f"{path}: column {shown([columns.split_name])} has no row with the value 'train'; expected "
            f"{', '.join(sorted(_SPLIT_NAMES))}"
        )


def cleaned(cell: str) -> str:
    """A cell without NUL characters and without spaces around it."""
    return cell.replace("\0", " ").strip()


def _csv_rows(path: Path, lines: io.TextIOBase) -> Iterator[list[str] | int]:
    """Yields rows; for lines that cannot be parsed, their number."""
    previous_limit = csv.field_size_limit(_FIELD_LIMIT_BYTES)
    try:
        # Strict: else one quote that is never closed would silently swallow the rest of the file.
        reader = csv.reader(lines, strict=True)
        while True:
            line = reader.line_num
            try:
                yield next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if "unexpected end of data" in str(error):
                    raise UserError(
                        f"{path}: a quote that opens in or after line {line + 1} is never closed; close it, double "
                        "quotes inside quoted fields, or save the file as TSV and use tsv:PATH"
                    ) from error
                yield reader.line_num - line
    finally:
        csv.field_size_limit(previous_limit)


def _tsv_rows(lines: io.TextIOBase) -> Iterator[list[str]]:
    for line in lines:
        line = line.rstrip("\r\n")
        yield line.split("\t") if line else []


def _filled(rows: Iterator[list[str] | int]) -> Iterator[list[str] | int]:
    return (row for row in rows if row != [])
