"""Representative inputs from files, for models that come from outside."""

from pathlib import Path

import keras
import numpy as np

from tfpar.errors import UserError
from tfpar.export.to_saved_model import input_names


def read_calibration(source: str, model: keras.Model) -> dict[str, np.ndarray]:
    """Reads rows of a model's inputs.

    Args:
        source: "npz:FILE", arrays (examples, ...) by the names of the model's inputs; or, for a model of one input,
            "npy:FILE", one such array, or "csv:FILE", the numbers of one example in each line, time step by time step;
            shorter lines are padded with zeros.
        model: a built functional model.

    Returns:
        (examples, ...) by input name.

    Raises:
        UserError: the file cannot be read, or does not fit the model's inputs.
    """
    kind, separator, name = source.partition(":")
    readers = {"npz": _read_npz, "npy": _read_npy, "csv": _read_csv}
    if not separator or kind not in readers:
        raise UserError(f"--calibration must be npz:FILE, npy:FILE or csv:FILE; got {source!r}")
    tensors = dict(zip(input_names(model), model.inputs, strict=True))
    if kind != "npz" and len(tensors) > 1:
        raise UserError(f"the model has the inputs {', '.join(tensors)}; give their arrays as npz:FILE")
    try:
        arrays = readers[kind](Path(name), tensors)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"--calibration {source} cannot be read: {error}") from error
    for name, array in arrays.items():
        expected = tensors[name].shape[1:]
        fits = len(array) and array.ndim == len(expected) + 1 and array.dtype.kind in "fiub"
        if not fits or any(want not in (None, have) for want, have in zip(expected, array.shape[1:], strict=False)):
            shape = (None, *expected)
            raise UserError(f"--calibration {source} has {array.shape} {array.dtype} for {name!r}; expected {shape}")
    return arrays


def _read_npz(path, tensors):
    with np.load(path) as file:
        return {name: file[name] for name in tensors}


def _read_npy(path, tensors):
    return {next(iter(tensors)): np.load(path)}


def _read_csv(path, tensors):
    ((name, tensor),) = tensors.items()
    lines = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = [np.array(line, np.float64) for line in lines]
    step = int(np.prod([size for size in tensor.shape[1:] if size]))
    for number, row in enumerate(rows, start=1):
        if len(row) % step:
            raise ValueError(f"line {number} has {len(row)} numbers, not a multiple of the input's {step}")
    longest = max(map(len, rows), default=step)
    padded = np.stack([np.pad(row, (0, longest - len(row))) for row in rows]) if rows else np.zeros((0, step))
    return {name: padded.reshape(len(rows), *(size or longest // step for size in tensor.shape[1:]))}
