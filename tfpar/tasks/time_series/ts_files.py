"""Reads series in the `.ts` text format of the UCR and UEA archives (timeseriesclassification.com)."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfpar.data.readers.text_files import open_text
from tfpar.errors import UserError

MISSING = ("?", "nan", "NaN", "")


def read_ts(path: Path) -> Iterator[tuple[np.ndarray, str]]:
    """Yield (float32 (steps, channels), label) of each series; the label of a file without labels is "".

    Channels of different lengths end in NaN. Time stamps, as in `(2007-01-01 00:00:00,241.97)`, are dropped.

    Raises:
        UserError: the file cannot be read, has no `@data`, or a value is neither a number nor missing.
    """
    with open_text(path, strict=True) as file:
        lines = enumerate(file, start=1)
        header = _read_header(path, lines)
        has_label = header.get("classlabel", header.get("targetlabel", "")).lower().startswith("true")
        has_times = header.get("timestamps", "false").lower() == "true"
        for number, line in lines:
            if line.strip() and line[0] not in "#%":
                yield _parse_line(path, number, line.strip(), has_label, has_times)


def _read_header(path, lines) -> dict[str, str]:
    """Read up to `@data`; return the other entries by their names in lower case."""
    header: dict[str, str] = {}
    for _, line in lines:
        name, _, value = line.strip().partition(" ")
        if name.lower() == "@data":
            return header
        if name.startswith("@"):
            header[name[1:].lower()] = value.strip()
    raise UserError(f"{path} has no line @data; expected the .ts format of the UCR and UEA archives")


def _parse_line(path, number, line, has_label, has_times) -> tuple[np.ndarray, str]:
    if has_times:
        line = _drop_times(line)
    *channels, last = line.split(":")
    label = last.strip() if has_label else ""
    if not has_label:
        channels.append(last)
    if not channels:
        raise UserError(f"{path}, line {number}: expected values and a label after a colon; got {line[:40]!r}")
    columns = [_parse_values(path, number, channel.split(",")) for channel in channels]
    longest = max(map(len, columns))
    values = np.full((longest, len(columns)), np.nan, np.float32)
    for index, column in enumerate(columns):
        values[: len(column), index] = column
    return values, label


def _parse_values(path, number, cells) -> np.ndarray:
    try:
        values = np.array([np.nan if cell.strip() in MISSING else float(cell) for cell in cells], np.float32)
    except ValueError as error:
        raise UserError(
            f"{path}, line {number}: {error}; values must be numbers, or ? where they are missing"
        ) from None
    if np.isinf(values).any():
        raise UserError(
            f"{path}, line {number}: a value is infinite; values must be finite, or ? where they are missing"
        )
    return values


def _drop_times(line: str) -> str:
    """Return a line of (time, value) pairs without the times.

    >>> _drop_times("(2007-01-01 00:00:00,241.97),(2007-01-01 00:01:00,241.75):1")
    '241.97,241.75:1'
    """
    *pieces, rest = line.split(")")
    separators = ["", *(":" if piece.lstrip().startswith(":") else "," for piece in pieces[1:])]
    values = [piece.rpartition(",")[2] for piece in pieces]
    return "".join(map("".join, zip(separators, values, strict=True))) + rest.strip()
