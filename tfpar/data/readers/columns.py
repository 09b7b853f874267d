"""Columns of a table, found in its first line."""

from dataclasses import dataclass
from pathlib import Path

from tfpar.errors import UserError

_DEFAULT_SPLIT = "split"


@dataclass(frozen=True)
class Columns:
    """Indices of the columns in a row.

    Attributes:
        fields: position from 0 of each column that was asked for.
        split: position, or None if the file has no such column.
        split_name: the column's name, for messages.
        width: fields in a proper row.
        header: whether the first line names the columns.
    """

    fields: tuple[int, ...]
    split: int | None
    split_name: str
    width: int
    header: bool

    @classmethod
    def find(
        cls, path: Path, first: list[str], wanted: dict[str, str], split: str, has_header: bool = False
    ) -> "Columns":
        """Find the columns in the file's first line.

        Args:
            path: the file, for messages.
            first: the cells of its first line.
            wanted: option of a command, without dashes -> column; numbers from 0, all of them, mean a file without a
                header. Of an option that takes several columns: "option[0]", "option[1]".
            split: the column that says train, validation or test.
            has_header: the first line names the columns, also if all of `wanted` are numbers.

        Raises:
            UserError: a column is missing or named twice, or two of `wanted` are the same column.
        """
        header = has_header or not all(map(_is_number, wanted.values()))
        names = [cell.strip() for cell in first] if header else None
        options = " and ".join(dict.fromkeys(map(_format_option, wanted)))
        indices = tuple(
            _find_index(path, _format_option(option), column, first, names, options)
            for option, column in wanted.items()
        )
        if len(set(indices)) < len(indices):
            raise UserError(f"{options} must differ; got {' and '.join(map(repr, wanted.values()))}")
        # Nobody asked for a column called "split", so it may be missing; any other name was asked for.
        optional = split == _DEFAULT_SPLIT and (names is None or split not in names)
        split_index = None if optional else _find_index(path, "--split_column", split, first, names, options)
        return cls(indices, split=split_index, split_name=split, width=len(first), header=header)


def _is_number(column: str) -> bool:
    return column.isascii() and column.isdigit()


def _format_option(option: str) -> str:
    """Return an option as it is written at a command; the description of another column as it is."""
    name = option.partition("[")[0]
    return f"--{name}" if name.isidentifier() else name


def _find_index(path: Path, option: str, column: str, first: list[str], names: list[str] | None, numbered: str) -> int:
    if _is_number(column) and not (names and column in names):
        if int(column) < len(first):
            return int(column)
    elif names and names.count(column) == 1:
        return names.index(column)
    elif names and column in names:
        raise UserError(f"{path}: {option} {column!r} is the name of {names.count(column)} columns; rename them")
    found = f"the columns {format_names(names)}" if names else f"{len(first)} columns without a header"
    raise UserError(
        f"{path} has no column {column!r}; found {found}. Give {option} as a name in the header, or give "
        f"{numbered} as numbers from 0 for a file without one"
    )


def format_names(names: list[str], longest: int = 40, at_most: int = 20) -> str:
    """Format names for an error message: short, few, and printable even if the bytes were not UTF-8."""
    short = [name if len(name) <= longest else name[: longest - 3] + "..." for name in names[:at_most]]
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(repr(name) for name in short) + more
