"""Reads npz files: NumPy arrays by name."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tfpar.files import open_file


def read_npz(path: Path, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, np.ndarray]:
    """Read arrays by name; those of `optional` may be missing.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is not an npz file, is damaged, lacks an array, or an array has objects of Python. For damaged
            members zipfile raises errors of other types.
    """
    with open_file(path) as file:
        if not zipfile.is_zipfile(file):  # np.load takes other files for pickles
            raise ValueError("it is not an npz file, or it is damaged")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            missing = [name for name in required if name not in arrays.files]
            if missing:
                raise ValueError(f"it has no array {', '.join(missing)}, but {', '.join(arrays.files) or 'none'}")
            names = [*required, *(name for name in optional if name in arrays.files)]
            return {name: _read_member(arrays, name) for name in names}


def _read_member(arrays, name) -> np.ndarray:
    try:
        array = arrays[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        remedy = f"save numbers, or text as by {name}.astype(str)"
        raise ValueError(f"the array {name} has objects of Python; {remedy}") from error
    if not isinstance(array, np.ndarray):  # NumPy returns the bytes of a member that is no array
        raise ValueError(f"the array {name} is damaged")
    return array
