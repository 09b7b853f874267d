"""Reads labelled texts from a CSV or TSV file that people made, with all that people's files contain.

A bad row is left out and counted by reason; a bad file is refused. CSV may quote fields (quotes doubled, newlines
inside); in TSV a quote is a character like any other.
"""

import contextlib
import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tfpar.data.columns import Columns, shown
from tfpar.data.labelled_texts import Collected
from tfpar.data.splits import SPLITS
from tfpar.errors import UserError

UNLABELLED = "unlabelled"
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
_SNIFFED_BYTES = 1 << 16
_MALFORMED = "malformed quoting"
_NOT_UTF8 = "invalid UTF-8"


def read_delimited(path: Path, *, quoted: bool, text_column: str, label_column: str, split_column: str) -> Collected:
    """Reads the whole file.

    Of rows with the same text the first is kept. NUL characters become spaces; texts and labels are stripped. A column
    is named by the header or, if both `text_column` and `label_column` are digits, by number from 0 in a file without
    a header.

    Args:
        path: the file; UTF-8, with or without a byte order mark.
        quoted: True: commas and quotes (CSV); False: tabs, no quoting (TSV).
        text_column, label_column, split_column: the columns; only the last may be missing, if it is called "split".

    Raises:
        UserError: no such file, not UTF-8, a column is missing, a quote is never closed, or no usable row.
    """
    with _opened(path) as file:
        _check_encoding(path, file)
        # Undecodable bytes become lone surrogates, which nothing else can: that is how a bad row is told later.
        lines = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="" if quoted else "\n")
        rows = _csv_rows(path, lines) if quoted else _tsv_rows(lines)
        first = next((row for row in rows if isinstance(row, list) and row), None)
        if first is None:
            raise UserError(f"{path} has no data rows; expected a line per example")
        columns = Columns.find(path, first, text_column, label_column, split_column)
        reading = _Reading(path, columns)
        if not columns.header:
            reading.add(first)
        for row in rows:
            reading.add(row)
    return reading.finish()


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if path.is_dir():
        raise UserError(f"{path} is a directory; expected a file")
    try:
        file = open(path, "rb", buffering=_SNIFFED_BYTES)
    except FileNotFoundError as error:
        raise UserError(f"{path} does not exist; expected a file") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    with file:
        yield file


def _check_encoding(path: Path, file: BinaryIO) -> None:
    """Refuses UTF-16 and UTF-32, whose every second byte is NUL in Western text."""
    start = file.peek(_SNIFFED_BYTES)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or start.count(0) > len(start) // 4:
        raise UserError(f"{path} is not UTF-8: it looks like UTF-16 or a binary file; convert it to UTF-8")


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


class _Reading:
    """Sorts rows into examples, unlabelled texts and skipped ones."""

    def __init__(self, path: Path, columns: Columns):
        self._path = path
        self._columns = columns
        self._rows = 0
        self._labels: list[str] = []
        self._label_of: dict[str, str] = {}
        self._collected = Collected(where=str(path))

    def add(self, row: list[str] | int) -> None:
        if row == []:
            return
        malformed = row if isinstance(row, int) else 0
        self._rows += malformed or 1
        if malformed:
            self._collected.skipped[_MALFORMED] += malformed
        elif reason := self._take(row):
            self._collected.skipped[reason] += 1

    def _take(self, row: list[str]) -> str | None:
        """Takes one row in; returns why not, if not."""
        if not _is_utf8(row):
            return _NOT_UTF8
        if len(row) != self._columns.width:
            return "wrong number of fields"
        text = row[self._columns.text].replace("\0", " ").strip()
        label = row[self._columns.label].replace("\0", " ").strip()
        split = "train"
        if self._columns.split is not None:
            split = _SPLIT_NAMES.get(row[self._columns.split].strip().lower(), "")
        if not text:
            return "empty text"
        if not split:
            return "unknown split"
        if split == UNLABELLED:
            self._collected.unlabelled.append(text)
            return None
        if not label:
            return "empty label"
        if text in self._label_of:
            return "duplicate text" if self._label_of[text] == label else "duplicate text with another label"
        self._label_of[text] = label
        self._collected.texts.append(text)
        self._collected.splits.append(split)
        self._labels.append(label)
        return None

    def finish(self) -> Collected:
        collected = self._collected
        self._check_rows()
        collected.class_names = sorted_class_names(set(self._labels))
        index = {name: place for place, name in enumerate(collected.class_names)}
        collected.labels = [index[label] for label in self._labels]
        if self._columns.split is not None:
            collected.given_rule = f"as column {self._columns.split_name!r} of the file says"
        if not self._columns.header:
            collected.hint = (
                "columns given by number mean that the file has no header line; if it has one, give the columns by name"
            )
        return collected

    def _check_rows(self) -> None:
        skipped = self._collected.skipped
        if self._rows == 0:
            raise UserError(f"{self._path} has no data rows below its header; expected a line per example")
        if skipped[_NOT_UTF8] > self._rows / 2:
            raise UserError(
                f"{self._path} is not UTF-8: {skipped[_NOT_UTF8]} of {self._rows} rows do not decode; convert it, for "
                "example by: iconv -f latin1 -t utf-8"
            )
        if not self._labels:
            reasons = ", ".join(f"{reason}: {count}" for reason, count in skipped.items()) or "all unlabelled"
            raise UserError(f"{self._path} has no usable row among {self._rows} ({reasons})")
        if "train" not in self._collected.splits:
            raise UserError(
                f"{self._path}: column {shown([self._columns.split_name])} has no row with the value 'train'; expected "
                f"{', '.join(sorted(_SPLIT_NAMES))}"
            )


def _is_utf8(row: list[str]) -> bool:
    joined = "".join(row)
    if joined.isascii():
        return True
    try:
        joined.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def sorted_class_names(names: set[str]) -> tuple[str, ...]:
    """Class names by alphabet, or by value if all of them are whole numbers.

    >>> sorted_class_names({"10", "9", "-1"})
    ('-1', '9', '10')
    """
    if all(re.fullmatch(r"[+-]?[0-9]{1,18}", name) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))
