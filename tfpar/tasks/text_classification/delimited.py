"""Labeled texts in CSV and TSV files: bad rows are skipped and counted, bad files are refused."""

import re
from pathlib import Path

from tfpar.data.readers.columns import Columns
from tfpar.data.readers.delimited import (
    MALFORMED,
    UNKNOWN_SPLIT,
    UNLABELED,
    WRONG_WIDTH,
    Dialect,
    check_train,
    clean_cell,
    read_delimited,
    read_split,
)
from tfpar.data.readers.text_files import WESTERN
from tfpar.errors import UserError
from tfpar.tasks.text_classification.data import Collected

_NOT_UTF8 = "invalid UTF-8; another encoding is named by --encoding"
_MOST_NOT_UTF8 = 0.1  # of all rows; a file with more is in another encoding


def read_texts(
    path: Path, dialect: Dialect, *, text_column: str, label_column: str, split_column: str, group_column: str = ""
) -> Collected:
    """Read the whole file.

    Of rows with the same text the first is used. NUL characters become spaces; texts and labels are stripped. A column
    is named by the header or, if both `text_column` and `label_column` are digits, by number from 0 in a file without
    a header.

    Args:
        path: the file.
        dialect: how its rows are written.
        text_column, label_column, split_column: the columns; only the last may be missing, if it is called "split".
        group_column: rows that are equal here share a split; empty: no such column.

    Raises:
        UserError: no such file, another encoding, a column is missing, a quote is never closed, or no usable row.
    """
    wanted = {"text_column": text_column, "label_column": label_column}
    if group_column:
        wanted["group_column"] = group_column
    with read_delimited(path, dialect, wanted=wanted, split_column=split_column) as (columns, rows):
        reading = _Reading(path, columns)
        for row in rows:
            reading.add(row)
    return reading.finish()


class _Reading:
    """Collector of rows as examples, unlabeled texts and skipped ones."""

    def __init__(self, path: Path, columns: Columns):
        self._path = path
        self._columns = columns
        self._rows = 0
        self._labels: list[str] = []
        self._label_of: dict[str, str] = {}
        self._collected = Collected(where=str(path))

    def add(self, row: list[str] | int) -> None:
        if isinstance(row, int):
            self._rows += row
            self._collected.skipped[MALFORMED] += row
            return
        self._rows += 1
        if reason := self._take(row):
            self._collected.skipped[reason] += 1

    def _take(self, row: list[str]) -> str | None:
        """Add one row; return the reason if it is skipped."""
        if not _is_utf8(row):
            return _NOT_UTF8
        if len(row) != self._columns.width:
            return WRONG_WIDTH
        text, label, *group = (clean_cell(row[position]) for position in self._columns.fields)
        split = read_split(row, self._columns)
        if not text:
            return "empty text"
        if not split:
            return UNKNOWN_SPLIT
        if split == UNLABELED:
            self._collected.unlabeled.append(text)
            return None
        if not label:
            return "empty label"
        if text in self._label_of:
            return "duplicate text" if self._label_of[text] == label else "duplicate text with another label"
        if group == [""]:
            return "empty group"
        self._label_of[text] = label
        self._collected.groups += group
        self._collected.texts.append(text)
        self._collected.splits.append(split)
        self._labels.append(label)
        return None

    def finish(self) -> Collected:
        collected = self._collected
        self._check_rows()
        collected.class_names = sort_class_names(set(self._labels))
        index = {name: position for position, name in enumerate(collected.class_names)}
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
        if skipped[_NOT_UTF8] > self._rows * _MOST_NOT_UTF8:
            raise UserError(
                f"{self._path} is not UTF-8: {skipped[_NOT_UTF8]} of {self._rows} rows do not decode; give its "
                f"encoding, such as {WESTERN}"
            )
        if not self._labels:
            reasons = ", ".join(f"{reason}: {count}" for reason, count in skipped.items()) or "all unlabeled"
            raise UserError(f"{self._path} has no usable row among {self._rows} ({reasons})")
        check_train(self._path, self._columns, self._collected.splits)


def _is_utf8(row: list[str]) -> bool:
    joined = "".join(row)
    if joined.isascii():
        return True
    try:
        joined.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def sort_class_names(names: set[str]) -> tuple[str, ...]:
    """Sort class names by alphabet, or by value if all are whole numbers.

    >>> sort_class_names({"10", "9", "-1"})
    ('-1', '9', '10')
    """
    if all(re.fullmatch(r"[+-]?[0-9]{1,18}", name) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))
