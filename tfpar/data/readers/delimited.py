"""Rows of CSV and TSV files, including irregular ones.

CSV may quote fields (quotes doubled, newlines inside); in TSV a quote is a character like any other.
"""

import contextlib
import csv
import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from tfpar.data.readers.columns import Columns, format_names
from tfpar.data.readers.splits import SPLIT_NAMES
from tfpar.data.readers.text_files import UTF8, canonical_encoding, open_text
from tfpar.errors import UserError

UNLABELED = "unlabeled"
MALFORMED = "malformed quoting"
WRONG_WIDTH = "wrong number of fields"
UNKNOWN_SPLIT = "unknown split"
_SPLIT_NAMES = SPLIT_NAMES | dict.fromkeys((UNLABELED, "unlabelled", "unsupervised"), UNLABELED)
# The largest limit that fits a C long everywhere; the default, 128 KiB, is less than one long document.
_FIELD_LIMIT_BYTES = 2**31 - 1
_DELIMITERS = {",": "','", ";": "';'", "\t": r"'\t'", "|": "'|'"}  # as a shell takes them


@dataclasses.dataclass(frozen=True)
class Dialect:
    """Format of the rows of a file.

    Attributes:
        quoted: True: fields may be quoted (CSV); False: a quote is a character like any other (TSV).
        delimiter: one character; empty: the comma of CSV, the tab of TSV.
        encoding: as Python names it.

    Raises:
        UserError: the delimiter is not one character, or is one that rows need; there is no such encoding.
    """

    quoted: bool
    delimiter: str = ""
    encoding: str = UTF8

    def __post_init__(self):
        given = "\t" if self.delimiter in (r"\t", "tab") else self.delimiter
        if len(given) > 1 or given in ('"', "\r", "\n", "\0", "\ufeff") or "\ud800" <= given <= "\udfff":
            raise UserError(rf"--delimiter must be one character, such as ';', or \t for a tab; got {self.delimiter!r}")
        object.__setattr__(self, "encoding", canonical_encoding(self.encoding))
        object.__setattr__(self, "delimiter", given or ("," if self.quoted else "\t"))


@contextlib.contextmanager
def read_delimited(
    path: Path,
    dialect: Dialect,
    *,
    wanted: dict[str, str],
    split_column: str,
    strict: bool = False,
    has_header: bool = False,
) -> Iterator[tuple[Columns, Iterator[list[str] | int]]]:
    """Open the file and find its columns.

    Args:
        path: the file.
        dialect: how its rows are written.
        wanted, has_header: see `Columns.find`; `wanted` by the names of arguments.
        split_column: may be missing if it is called "split".
        strict: refuse a file with a line that is not UTF-8; else such bytes come as lone surrogates.

    Yields:
        The columns, and the rows below the header; for lines that cannot be parsed, their number.

    Raises:
        UserError: no such file, another encoding, no row, a column is missing, or a quote is never closed.
    """
    newline = "" if dialect.quoted else "\n"
    with open_text(path, dialect.encoding, newline=newline, strict=strict) as file, _long_fields():
        start = file.readline()
        lines = itertools.chain([start] if start else [], file)
        rows = _filled(_csv_rows(path, lines, dialect) if dialect.quoted else _tsv_rows(lines, dialect))
        columns, rows = _split_off_header(
            path, rows, wanted, split_column, has_header, suggest_delimiter(start, dialect, len(wanted))
        )
        yield columns, rows


def _split_off_header(path, rows, wanted, split_column, has_header, hint):
    """Return the columns, and the rows without the header; `hint` ends the message if there is none."""
    first = next((row for row in rows if isinstance(row, list)), None)
    if first is None:
        raise UserError(f"{path} has no data rows; expected a line per example{hint}")
    try:
        columns = Columns.find(path, first, wanted, split_column, has_header)
    except UserError as error:
        raise UserError(f"{error}{hint}") from error
    return columns, rows if columns.header else itertools.chain([first], rows)


def suggest_delimiter(line: str, dialect: Dialect, columns: int) -> str:
    """Return a hint for a first line that another delimiter splits into more fields."""
    counts = {mark: line.count(mark) for mark in _DELIMITERS}
    best = max(counts, key=lambda mark: counts[mark])
    if best == dialect.delimiter or counts[best] + 1 < columns or line.count(dialect.delimiter) + 1 >= columns:
        return ""
    return f"; its first line has {counts[best]} times {best!r}: give --delimiter {_DELIMITERS[best]}"


def read_split(row: list[str], columns: Columns) -> str:
    """Return the split of a row: one of SPLITS or UNLABELED, "train" without such a column, "" if it is unknown."""
    if columns.split is None:
        return "train"
    return _SPLIT_NAMES.get(row[columns.split].strip().lower(), "")


def check_train(path: Path, columns: Columns, splits: list[str]) -> None:
    """Raise UserError if the split column has no row for training."""
    if "train" not in splits:
        raise UserError(
            f"{path}: column {format_names([columns.split_name])} has no row with the value 'train'; expected "
            f"{', '.join(sorted(_SPLIT_NAMES))}"
        )


def clean_cell(cell: str) -> str:
    """Return a cell without NUL characters and without spaces around it."""
    return cell.replace("\0", " ").strip()


def _csv_rows(path: Path, lines: Iterable[str], dialect: Dialect) -> Iterator[list[str] | int]:
    """Yield rows; for lines that cannot be parsed, their number."""
    # Strict: else one quote that is never closed would silently swallow the rest of the file.
    reader = csv.reader(lines, delimiter=dialect.delimiter, strict=True)
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


@contextlib.contextmanager
def _long_fields() -> Iterator[None]:
    """Raise the limit of the `csv` module, which holds for the whole process, within a `with` block."""
    previous_limit = csv.field_size_limit(_FIELD_LIMIT_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(previous_limit)


def _tsv_rows(lines: Iterable[str], dialect: Dialect) -> Iterator[list[str]]:
    for line in lines:
        line = line.rstrip("\r\n")
        yield line.split(dialect.delimiter) if line else []


def _filled(rows: Iterator[list[str] | int]) -> Iterator[list[str] | int]:
    return (row for row in rows if row != [])
