"""Reads labelled images from a folder that has one sub-folder for each class."""

import re
from pathlib import Path

from tfpar.data.image_files import SUFFIXES, UndecodableImageError, decoded
from tfpar.data.labelled_images import CollectedImages
from tfpar.errors import UserError


def read_image_folder(path: Path) -> CollectedImages:
    """Reads all images; files that are none, or damaged, and classes without any are counted and left out.

    Args:
        path: the folder. Sub-folders are classes, sorted by name, numbers in names by value; hidden ones are not.

    Raises:
        UserError: no such folder, or no sub-folder in it.
    """
    if not path.is_dir():
        raise UserError(f"{path} {'is a file' if path.exists() else 'does not exist'}; expected a folder of images")
    folders = sorted((entry for entry in path.iterdir() if _is_class(entry)), key=lambda folder: _natural(folder.name))
    if not folders:
        raise UserError(f"{path} has no sub-folders; expected one for each class, with that class's images in it")
    collected = CollectedImages(where=f"folder:{path}")
    class_names = []
    for folder in folders:
        found = _read_class(folder, collected, label=len(class_names))
        if found:
            class_names.append(folder.name)
        else:
            collected.skipped["class without an image"] += 1
    collected.class_names = tuple(class_names)
    return collected


def _is_class(entry: Path) -> bool:
    return entry.is_dir() and not entry.name.startswith(".")


def _natural(name: str) -> list:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _read_class(folder: Path, collected: CollectedImages, label: int) -> int:
    """Adds a class's images; returns how many there are."""
    found = 0
    for path in sorted(folder.iterdir(), key=lambda path: _natural(path.name)):
        if path.name.startswith("."):
            continue
        if path.suffix.lower() not in SUFFIXES:
            collected.skipped["not an image file"] += 1
            continue
        try:
            image = decoded(path.read_bytes())
        except (UndecodableImageError, OSError):
            collected.skipped["image that cannot be read"] += 1
            continue
        collected.images.append(image)
        collected.labels.append(label)
        collected.splits.append("train")
        found += 1
    return found
