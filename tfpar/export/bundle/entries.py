"""Entries of an export directory: files, and links, FIFOs and empty directories, which an export does not have."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from tfpar.files import read_file


def list_entries(directory: Path) -> Iterator[str]:
    """Yield the path of each entry below a directory, except directories that have entries themselves.

    Links are not followed. The path of an empty directory ends in "/".
    """
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if not entry.is_dir(follow_symlinks=False):
            yield entry.name
            continue
        below = [f"{entry.name}/{name}" for name in list_entries(Path(entry.path))]
        yield from below or [f"{entry.name}/"]


def read_entry(directory: Path, name: str) -> bytes:
    """Read a regular file of an export.

    Args:
        directory: the export.
        name: the file's path in it.

    Raises:
        OSError: it does not exist, cannot be read, is not a regular file, or is a link to a file outside of
            `directory`; `strerror` has the reason.
    """
    path = Path(os.path.realpath(directory / name, strict=True))
    if not path.is_relative_to(directory.resolve()):
        raise OSError(errno.EPERM, "it is a link out of the export. Replace it by the file")
    return read_file(path)
