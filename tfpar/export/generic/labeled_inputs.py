"""Reads labeled inputs from folders and tables, without TensorFlow."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfpar.checks import did_you_mean
from tfpar.data.readers.delimited import Dialect
from tfpar.errors import UserError
from tfpar.export.generic.inputs import InputKind, Item, list_files, path_beside, read_rows, read_text

_SAME, _DIFFERENT = ("1", "true", "yes", "same"), ("0", "false", "no", "different")


def read_class_folders(path: Path, kind: InputKind, labels: Sequence[str]) -> Iterator[tuple[Item, str]]:
    """Yield (input, label) of PATH/LABEL/*, sorted.

    Raises:
        UserError: there is no sub-folder, or the name of one is not a label.
    """
    folders = _subfolders(path, "one for each class")
    for folder in folders:
        _check_label(folder.name, labels, f"the folder {folder}")
    for folder in folders:
        for file in list_files(folder, None):
            if file.suffix.lower() not in kind.suffixes:
                yield Item(str(file), error=f"{file} is none of {', '.join(kind.suffixes)}"), folder.name
            else:
                yield (read_text(file) if kind.is_text else Item(str(file), (str(file),))), folder.name


def read_labeled_rows(
    path: Path,
    dialect: Dialect,
    kind: InputKind,
    columns: tuple[str, str],
    split: str | None,
    labels: Sequence[str] | None,
) -> Iterator[tuple[Item, str]]:
    """Yield (input, label) of the rows of a csv or tsv file; rows that cannot be used have an error.

    Args:
        path: of the file; paths in it are relative to its directory.
        dialect: encoding and delimiter.
        kind: of the inputs.
        columns: of input and label.
        split: only rows of this split; None: all rows.
        labels: the valid ones; None: any text.

    Raises:
        UserError: the file cannot be read, lacks a column, or a row has another label.
    """
    wanted = dict(zip(("input_column", "label_column"), columns, strict=True))
    for number, cells, error in read_rows(path, dialect, wanted, split):
        name = f"{path} row {number}"
        if cells is None or not all(cells):
            yield Item(name, error=f"{name}: {error or 'an empty cell'}"), ""
            continue
        if labels is not None:
            _check_label(cells[1], labels, name)
        argument = cells[0] if kind.is_text else path_beside(path, cells[0])
        yield Item(name if kind.is_text else argument, (argument,)), cells[1]


def read_person_folders(path: Path, kind: InputKind) -> tuple[list[Item], list[tuple[int, int, bool]]]:
    """Read the images of PATH/PERSON/* and make all pairs of them.

    Returns:
        The images, and pairs: two indices of images, and whether they show the same person.

    Raises:
        UserError: fewer than two sub-folders have images, or none has two.
    """
    people = [list_files(folder, kind.suffixes) for folder in _subfolders(path, "one for each person")]
    if sum(map(bool, people)) < 2 or max(map(len, people)) < 2:
        raise UserError(
            f"{path} must have a sub-folder with images for each of at least two people, with at least two images of "
            "one of them"
        )
    pictures = [(str(file), person) for person, files in enumerate(people) for file in files]
    pairs = itertools.combinations(range(len(pictures)), 2)
    return (
        [Item(name, (name,)) for name, _ in pictures],
        [(one, other, pictures[one][1] == pictures[other][1]) for one, other in pairs],
    )


def read_person_pairs(
    path: Path, dialect: Dialect, kind: InputKind, columns: Sequence[str] = ("0", "1", "2")
) -> tuple[list[Item], list[tuple[int, int, bool]]]:
    """Read rows (image, other image, whether they show the same person); return as `read_person_folders`.

    Args:
        path: of the file; paths in it are relative to its directory.
        dialect: encoding and delimiter. A first row that names no file of `kind` is a header.
        kind: of the images.
        columns: of both images and the truth value: 1, true, yes, same; or 0, false, no, different.
    """
    wanted = dict(zip(("input_column[0]", "input_column[1]", "label_column"), columns, strict=True))
    items, index, pairs = [], {}, []
    truth_values = {**dict.fromkeys(_SAME, True), **dict.fromkeys(_DIFFERENT, False)}
    for number, cells, error in read_rows(path, dialect, wanted):
        is_same = None if cells is None else truth_values.get(cells[2].lower())
        if number == 1 and cells and not any(Path(cell).suffix.lower() in kind.suffixes for cell in cells[:2]):
            continue
        if cells is None or is_same is None:
            error = error if cells is None else f"{cells[2]!r} is none of {', '.join(_SAME + _DIFFERENT)}"
            items.append(Item(f"{path} row {number}", error=f"{path} row {number}: {error}"))
            continue
        names = [path_beside(path, cell) for cell in cells[:2]]
        for name in names:
            if name not in index:
                index[name] = len(items)
                items.append(Item(name, (name,)))
        pairs.append((index[names[0]], index[names[1]], is_same))
    return items, pairs


def _subfolders(path, meaning):
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not folders:
        raise UserError(f"{path} has no sub-folders; it must have {meaning}")
    return folders


def _check_label(label, labels, where):
    if label not in labels:
        known = ", ".join(labels[:20]) + (f" and {len(labels) - 20} more" if len(labels) > 20 else "")
        raise UserError(f"{where} has the label {label!r}; the model's are {known}{did_you_mean(label, labels)}")
