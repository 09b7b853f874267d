"""Expands files, folders and tables into single inputs of a predictor, without TensorFlow."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfpar.checks import did_you_mean
from tfpar.data.readers.delimited import Dialect, clean_cell, read_delimited, read_split
from tfpar.data.readers.splits import SPLITS
from tfpar.data.readers.text_files import UTF8
from tfpar.errors import UserError
from tfpar.export.generic.arrays import read_arrays

TABLES = ("csv", "tsv")
SOURCE_KINDS = ("folder", *TABLES, "npz")


@dataclasses.dataclass(frozen=True)
class InputKind:
    """The storage of a task's inputs.

    Attributes:
        columns: default columns of a csv or tsv file, one for each argument of the predictor.
        arrays: names of the arrays of an npz file, one for each argument; rows are inputs.
        suffixes: of the files that are read from a folder.
        is_text: whether an input is a text, not a path.
        is_table: whether csv, tsv and npz files are inputs themselves, of many rows.
    """

    columns: tuple[str, ...]
    arrays: tuple[str, ...]
    suffixes: tuple[str, ...]
    is_text: bool = False
    is_table: bool = False

    @property
    def arguments(self) -> int:
        """The number of arguments of the predictor."""
        return len(self.columns)


@dataclasses.dataclass(frozen=True)
class Item:
    """One input.

    Attributes:
        name: in predictions: a text, a path, a row, or a list of these if the predictor takes several.
        arguments: of the predictor.
        error: the reason if it cannot be read; else None.
    """

    name: str | list[str]
    arguments: tuple = ()
    error: str | None = None


def expand(
    sources: Sequence[str], kind: InputKind, columns: Sequence[str] = (), encoding: str = UTF8, delimiter: str = ""
) -> Iterator[Item]:
    """Yield the inputs of all sources in order; a source that cannot be read becomes an item with an error.

    Args:
        sources: "folder:PATH", "csv:PATH", "tsv:PATH", "npz:PATH", a directory (unless inputs are texts), or single
            inputs, as many in a row as the predictor has arguments.
        kind: of the inputs.
        columns: of csv and tsv files, instead of `kind.columns`.
        encoding, delimiter: of csv and tsv files; see `Dialect`.

    Raises:
        UserError: the number of single inputs is not a multiple of the number of the predictor's arguments.
    """
    single = sum(_source_kind(source, kind) is None for source in sources)
    if single % kind.arguments:
        raise UserError(f"this model compares inputs, {kind.arguments} by {kind.arguments}; got {single} of them")
    pending = []
    for source in sources:
        found = _source_kind(source, kind)
        if found is None:
            pending.append(source)
            if len(pending) == kind.arguments:
                yield _item(pending)
                pending = []
            continue
        dialect = Dialect(found[0] == "csv", delimiter, encoding)
        try:
            yield from _expand_source(*found, source, kind, columns or kind.columns, dialect)
        except UserError as error:
            yield Item(source, error=str(error))


def parse_source(source: str, expected: Sequence[str] = SOURCE_KINDS) -> tuple[str, Path]:
    """Return the kind of a data source and its path.

    Args:
        source: "KIND:PATH"; or a directory, or a file whose suffix is the kind.
        expected: kinds.

    Raises:
        UserError: it is none of `expected`, or does not exist.
    """
    prefix, colon, rest = source.partition(":")
    if colon and prefix in SOURCE_KINDS:
        kind, path = prefix, Path(rest).expanduser()
    else:
        path = Path(source).expanduser()
        kind = "folder" if path.is_dir() else path.suffix.removeprefix(".").lower()
    requirement = f"the data must be {' or '.join(f'{name}:PATH' for name in expected)}"
    if not path.exists():
        raise UserError(f"{path} does not exist; {requirement}{did_you_mean(prefix, expected) if colon else ''}")
    if kind not in expected:
        raise UserError(f"{requirement}; got {source!r}")
    if path.is_dir() != (kind == "folder"):
        raise UserError(f"{path} is a {'directory' if path.is_dir() else 'file'}, which {kind}: does not read")
    return kind, path


def read_rows(
    path: Path, dialect: Dialect, columns: dict[str, str], split: str | None = None
) -> Iterator[tuple[int, tuple[str, ...], None] | tuple[int, None, str]]:
    """Yield (row number from 1, cells, None), or (number, None, the reason why the row cannot be used).

    Args:
        path: of the file.
        dialect: encoding and delimiter.
        columns: argument name -> column, as `tfpar.data.readers.columns.Columns.find` takes them.
        split: only rows of this split; None: all rows.

    Raises:
        UserError: the file cannot be read, lacks a column or any row.
    """
    number = 0
    with read_delimited(path, dialect, wanted=columns, split_column="split") as (found, rows):
        if split is not None and found.split is None:
            raise UserError(f"{path} has no column 'split'. Omit --split {split}")
        for row in rows:
            number += row if isinstance(row, int) else 1
            if isinstance(row, int):
                yield number, None, "malformed quoting"
            elif len(row) != found.width:
                yield number, None, f"{len(row)} fields instead of {found.width}"
            elif not _is_utf8("".join(row)):
                yield number, None, "not UTF-8"
            elif split is None or read_split(row, found) == split:
                yield number, tuple(clean_cell(row[index]) for index in found.fields), None
    if not number:
        raise UserError(f"{path} has no data rows below its header; expected a line per example")


def check_split(split: str | None) -> None:
    """Raise UserError unless `split` is a split's name or None."""
    if split is not None and split not in SPLITS:
        raise UserError(f"`split` must be one of {', '.join(SPLITS)}; got {split!r}{did_you_mean(split, SPLITS)}")


def list_files(folder: Path, suffixes: Sequence[str] | None) -> list[Path]:
    """Return all files below a folder with one of these suffixes (None: any), sorted, without hidden files."""
    found = (path for path in folder.rglob("*") if suffixes is None or path.suffix.lower() in suffixes)
    visible = (path for path in found if not any(name.startswith(".") for name in path.relative_to(folder).parts))
    return sorted(path for path in visible if path.is_file())


def read_text(path: Path) -> Item:
    """Read a text file as one input."""
    try:
        return Item(str(path), (path.read_text(encoding="utf-8"),))
    except (OSError, UnicodeDecodeError) as error:
        return Item(str(path), error=f"{path} cannot be read as UTF-8 text: {error}")


def path_beside(table: Path, cell: str) -> str:
    """Resolve the path in a cell of a table relative to the table's directory."""
    return str(table.parent / Path(cell).expanduser())


def _source_kind(source: str, kind: InputKind) -> tuple[str, Path] | None:
    """Return kind and path, or None if the source is a single input."""
    prefix, colon, rest = source.partition(":")
    if kind.is_table and prefix != "folder" and not Path(source).is_dir():
        return None
    if colon and rest and prefix in SOURCE_KINDS:
        return prefix, Path(rest).expanduser()
    if not kind.is_text and Path(source).is_dir():
        return "folder", Path(source)
    return None


def _expand_source(name, path, source, kind, columns, dialect):
    if name == "folder":
        yield from _expand_folder(path, kind)
    elif name == "npz":
        yield from _expand_arrays(path, source, kind)
    else:
        yield from _expand_table(path, dialect, source, kind, columns)


def _expand_folder(path, kind):
    if not path.is_dir():
        raise UserError(f"{path} {'is a file' if path.exists() else 'does not exist'}; expected a folder")
    files = list_files(path, kind.suffixes)
    if len(files) < kind.arguments:
        raise UserError(f"{path} must hold {kind.arguments} or more files {', '.join(kind.suffixes)}; got {len(files)}")
    for group in itertools.combinations(files, kind.arguments):
        yield read_text(group[0]) if kind.is_text else _item(list(map(str, group)))


def _expand_arrays(path, source, kind):
    arrays = read_arrays("npz", path, dict.fromkeys(kind.arrays, (None,)))
    counts = {name: array.shape[:1] for name, array in arrays.items()}
    if len(set(counts.values())) > 1 or () in counts.values():
        raise UserError(f"{path}: the arrays must have as many rows each; got the shapes {counts}")
    for row, values in enumerate(zip(*arrays.values(), strict=True)):
        yield Item(f"{source}[{row}]", tuple(map(str, values)) if kind.is_text else values)


def _expand_table(path, dialect, source, kind, columns):
    if len(columns) != kind.arguments:
        raise UserError(f"--input_column must name {kind.arguments} column(s), separated by commas; got {columns}")
    names = ("input_column[0]", "input_column[1]")
    for number, cells, error in read_rows(path, dialect, dict(zip(names, columns, strict=False))):
        if cells is None:
            name = f"{source} row {number}"
            yield Item(name, error=f"{name}: {error}")
        else:
            yield _item(list(cells) if kind.is_text else [path_beside(path, cell) for cell in cells])


def _item(arguments):
    return Item(arguments[0] if len(arguments) == 1 else arguments, tuple(arguments))


def _is_utf8(text):
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
