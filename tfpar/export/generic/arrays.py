"""Reads rows of a model's inputs from NumPy files and from lines of numbers, without TensorFlow."""

from pathlib import Path

import numpy as np

from tfpar.data.readers.npz_files import read_npz
from tfpar.errors import UserError
from tfpar.files import open_file, read_file

KINDS = ("npz", "npy", "csv", "tsv")
_LARGEST_EXACT = 2.0**53  # float64 represents every integer up to this one


def read_arrays(kind: str, path: Path | str, shapes: dict[str, tuple[int | None, ...]]) -> dict[str, np.ndarray]:
    """Read arrays of inputs.

    Args:
        kind: "npz", arrays by the names of the inputs; or, for a model of one input, "npy", one array, or "csv" or
            "tsv", the numbers of one example in each line, time step by time step, shorter lines padded with zeros.
        path: of the file.
        shapes: of one row of each input, by name; None: any size.

    Returns:
        Arrays by input name, not checked against `shapes`. Those of csv and tsv files are (lines, ...), int64 if all
        numbers are whole, else float64.

    Raises:
        UserError: the file cannot be read, or lacks an input.
    """
    if kind != "npz" and len(shapes) > 1:
        raise UserError(f"the model has the inputs {', '.join(shapes)}; give their arrays as npz:FILE")
    readers = {"npz": _read_npz, "npy": _read_npy, "csv": _read_csv, "tsv": _read_tsv}
    try:
        return readers[kind](Path(path), shapes)
    except OSError as error:
        raise UserError(f"{kind}:{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # NumPy and zipfile raise many kinds of errors for damaged files
        why = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{kind}:{path} cannot be read: {why}") from error


def _read_npz(path, shapes):
    return read_npz(path, shapes)


def _read_npy(path, shapes):
    with open_file(path) as file:
        return {next(iter(shapes)): np.lib.format.read_array(file, allow_pickle=False)}


def _read_tsv(path, shapes):
    return _read_csv(path, shapes, separator="\t")


def _read_csv(path, shapes, separator=","):
    ((name, shape),) = shapes.items()
    lines = [line.split(separator) for line in read_file(path).decode("utf-8-sig").splitlines() if line.strip()]
    rows = [np.array(line, np.float64) for line in lines]
    step = int(np.prod([size for size in shape if size]))
    for number, row in enumerate(rows, start=1):
        if len(row) % step:
            raise ValueError(f"line {number} has {len(row)} numbers, not a multiple of the input's {step}")
    longest = max(map(len, rows), default=step)
    padded = np.stack([np.pad(row, (0, longest - len(row))) for row in rows]) if rows else np.zeros((0, step))
    return {name: _to_integers(padded).reshape(len(rows), *(size or longest // step for size in shape))}


def _to_integers(array):
    """Convert to int64 if all numbers are whole."""
    is_whole = (np.abs(array) < _LARGEST_EXACT) & (array == np.round(array))
    return array.astype(np.int64) if is_whole.all() else array
