"""Finds the columns that a user named, in the first line of a file."""

from dataclasses import dataclass
from pathlib import Path

from tfpar.errors import UserError

_DEFAULT_SPLIT = "split"


@dataclass(frozen=True)
class Columns:
    """Where to look in a row.

    Attributes:
        text, label: positions from 0.
        split: position, or None if the file has no such column.
        split_name: the column's name, for messages.
        width: fields in a proper row.
        header: whether the first line names the columns.
    """

    text: int
    label: int
    split: int | None
    split_name: str
    width: int
    header: bool

    @classmethod
    def find(cls, path: Path, first: list[str], text: str, label: str, split: str) -> "Columns":
        """Looks the three columns up in the file's first line.

        Raises:
            UserError: a column is missing or named twice, or text and label are the same column.
        """
        header = not (_is_number(text) and _is_number(label))
        names = [cell.strip() for cell in first] if header else None
        places = [_place(path, "text_column", text, first, names), _place(path, "label_column", label, first, names)]
        if places[0] == places[1]:
            raise UserError(f"text_column and label_column must differ; got {text!r} and {label!r}")
        # Nobody asked for a column called "split", so it may be missing; any other name was asked for.
        optional = split == _DEFAULT_SPLIT and (names is None or split not in names)
        split_place = None if optional else _place(path, "split_column", split, first, names)
        return cls(*places, split=split_place, split_name=split, width=len(first), header=header)


def _is_number(column: str) -> bool:
    return column.isascii() and column.isdigit()


def _place(path: Path, argument: str, column: str, first: list[str], names: list[str] | None) -> int:
    if _is_number(column) and not (names and column in names):
        if int(column) < len(first):
            return int(column)
    elif names and names.count(column) == 1:
        return names.index(column)
    elif names and column in names:
        raise UserError(f"{path}: {argument}={column!r} is the name of {names.count(column)} columns; rename them")
    found = f"the columns {shown(names)}" if names else f"{len(first)} columns without a header"
    raise UserError(
        f"{path} has no column {column!r}; found {found}. Give {argument} as a name in the header, or give text_column "
        "and label_column as numbers from 0 for a file without one"
    )


def shown(names: list[str], longest: int = 40, at_most: int = 20) -> str:
    """Names for an error message: short, few, and printable even if the bytes were not UTF-8."""
    short = [name if len(name) <= longest else name[: longest - 3] + "..." for name in names[:at_most]]
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(repr(name) for name in short) + more
