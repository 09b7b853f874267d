"""Reads representative inputs from files, to calibrate third-party models."""

import keras
import numpy as np

from tfpar.errors import UserError
from tfpar.export.conversion.serving import ServingModel, serving_model
from tfpar.export.generic.arrays import KINDS, read_arrays


def read_calibration(source: str, model: keras.Model | ServingModel) -> dict[str, np.ndarray]:
    """Read rows of a model's inputs.

    Args:
        source: "npz:FILE", "npy:FILE" or "csv:FILE"; see `read_arrays`.
        model: a built model, of any kind.

    Returns:
        (examples, ...) by input name.

    Raises:
        UserError: the file cannot be read, or does not fit the model's inputs.
    """
    kind, separator, name = source.partition(":")
    if not separator or kind not in KINDS:
        raise UserError(f"`calibration` must be npz:FILE, npy:FILE or csv:FILE; got {source!r}")
    serving = serving_model(model)
    tensors = dict(zip(serving.input_names, serving.inputs, strict=True))
    arrays = read_arrays(kind, name, {name: tensor.shape[1:] for name, tensor in tensors.items()})
    for name, array in arrays.items():
        expected = tensors[name].shape[1:]
        fits = len(array) and array.ndim == len(expected) + 1 and array.dtype.kind in "fiub"
        if not fits or any(want not in (None, have) for want, have in zip(expected, array.shape[1:], strict=False)):
            shape = (None, *expected)
            raise UserError(f"`calibration` {source} has {array.shape} {array.dtype} for {name!r}; expected {shape}")
    return arrays
