"""Splits in a folder of files: sub-folders train, validation and test."""

from pathlib import Path

from tfpar.data.readers.splits import SPLIT_NAMES, SPLITS
from tfpar.errors import UserError


def find_splits(path: Path, has_classes: bool = True) -> dict[str, Path]:
    """Find the splits of a folder.

    Args:
        path: an existing folder.
        has_classes: whether each split must have a sub-folder for each class; a folder without one is a class, then,
            even if it is called like a split.

    Returns:
        Split -> its folder; {"train": `path`} where the folder brings no splits.

    Raises:
        UserError: splits stand beside other folders, one is there twice, or there is none for training.
    """
    folders = visible_folders(path)
    named = [folder for folder in folders if folder.name.lower() in SPLIT_NAMES]
    own = [folder for folder in named if not has_classes or visible_folders(folder)]
    if not own:
        if named and named == folders:
            raise UserError(f"{named[0]} must have a sub-folder for each class, with its files in it; it has none")
        return {"train": path}
    others = [folder.name for folder in folders if folder not in own]
    if others:
        raise UserError(
            f"{path} has the split {own[0].name!r} beside the folder {others[0]!r}; expected either train, validation "
            "and test alone, with their classes in them, or the classes alone"
        )
    splits: dict[str, Path] = {}
    for folder in own:
        split = SPLIT_NAMES[folder.name.lower()]
        if split in splits:
            raise UserError(f"{path} has two folders for {split}: {splits[split].name} and {folder.name}; merge them")
        splits[split] = folder
    if "train" not in splits:
        raise UserError(f"{path} has {own[0].name!r} and no 'train'; expected train, and validation or test beside it")
    return {split: splits[split] for split in SPLITS if split in splits}


def describe_split_folders(path: Path, splits: dict[str, Path]) -> str:
    """Describe the splits of a folder in one sentence; empty if it has none."""
    names = ", ".join(folder.name for folder in splits.values())
    return "" if splits == {"train": path} else f"as the folders {names} say"


def check_splits(path: Path, splits: dict[str, Path], found: list[str]) -> None:
    """Raise UserError if a split that the folder brings has no example among `found`, the split of each example."""
    for split, folder in splits.items():
        if folder != path and split not in found:
            raise UserError(f"{folder} holds no file that can be used; put some there, or remove the folder")


def visible_folders(path: Path) -> list[Path]:
    """Return the sub-folders that are not hidden, sorted by name.

    Raises:
        UserError: the folder cannot be read, or the name of a sub-folder is not UTF-8.
    """
    folders = [entry for entry in visible_entries(path) if entry.is_dir()]
    for folder in folders:
        if any("\ud800" <= character <= "\udfff" for character in folder.name):
            raise UserError(f"{path}: the name of a folder must be UTF-8; got {folder.name!r}. Rename it")
    return folders


def visible_entries(path: Path) -> list[Path]:
    """Return files and folders that are not hidden, sorted by name; raise UserError if the folder is unreadable."""
    try:
        return sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
