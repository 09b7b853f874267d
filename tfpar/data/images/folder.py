"""Labeled images in a folder with one sub-folder for each class."""

import re
from pathlib import Path

from tfpar.data.images.dataset import CollectedImages
from tfpar.data.images.files import SUFFIXES, UndecodableImageError, decode_image
from tfpar.data.readers.folder_groups import ONE_BY_ONE, FileGroups
from tfpar.data.readers.folder_splits import (
    check_splits,
    describe_split_folders,
    find_splits,
    visible_entries,
    visible_folders,
)
from tfpar.data.readers.splits import check_groups
from tfpar.errors import UserError
from tfpar.files import read_file


def read_image_folder(path: Path, group: str = "") -> CollectedImages:
    """Read all images; count and skip other files, damaged ones and classes without images.

    Args:
        path: the folder. Sub-folders are classes, sorted by name, numbers in names by value; hidden ones are not. Or
            its sub-folders are train, validation and test, and classes are in them.
        group: see `FileGroups`.

    Raises:
        UserError: no such folder, no sub-folder in it, splits beside classes, or a file without a group.
    """
    if not path.is_dir():
        raise UserError(f"{path} {'is a file' if path.exists() else 'does not exist'}; expected a folder of images")
    if not visible_folders(path):
        raise UserError(f"{path} has no sub-folders; expected one for each class, with that class's images in it")
    splits, groups = find_splits(path), FileGroups(path, group)
    collected = CollectedImages(
        where=f"folder:{path}",
        given_rule=describe_split_folders(path, splits),
        grouped_by=groups.source,
        advice=ONE_BY_ONE,
    )
    names = {entry.name for folder in splits.values() for entry in visible_folders(folder)}
    class_names: list[str] = []
    for name in sorted(names, key=_natural):
        found = [
            _read_class(folder / name, split, groups, collected, len(class_names)) for split, folder in splits.items()
        ]
        if any(found):
            class_names.append(name)
        else:
            collected.skipped["class without an image"] += 1
    collected.class_names = tuple(class_names)
    folders = {path, *splits.values()}
    loose = [entry for folder in folders for entry in visible_entries(folder) if entry.suffix.lower() in SUFFIXES]
    if loose:
        collected.skipped["image outside of a class's folder"] = len(loose)
    check_splits(path, splits, collected.splits)
    if groups.source:
        check_groups(collected.where, collected.groups, collected.splits)
    return collected


def _natural(name: str) -> list:
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in re.split(r"(\d+)", name)]


def _read_class(folder: Path, split: str, groups: FileGroups, collected: CollectedImages, label: int) -> int:
    """Add a class's images; return their number."""
    found = 0
    entries = visible_entries(folder) if folder.is_dir() else []
    for path in sorted(entries, key=lambda path: _natural(path.name)):
        if path.suffix.lower() not in SUFFIXES:
            collected.skipped["not an image file"] += 1
            continue
        group = groups.of(path)
        try:
            image = decode_image(read_file(path))
        except (UndecodableImageError, OSError):
            collected.skipped["image that cannot be read"] += 1
            continue
        collected.images.append(image)
        collected.labels.append(label)
        collected.splits.append(split)
        collected.groups.append(group)
        found += 1
    return found
