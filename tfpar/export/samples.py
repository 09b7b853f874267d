"""Inputs to calibrate 8-bit files with and to measure any file on."""

import keras
import numpy as np
import tensorflow as tf

from tfpar.errors import UserError
from tfpar.export.to_saved_model import input_names

ROWS = 256
_BATCHES_READ = 200


def sample_inputs(model: keras.Model, data, sequence_length: int | None) -> dict[str, np.ndarray]:
    """Gathers rows of model inputs, all of one length.

    Args:
        model: a built functional model.
        data: a `tf.data.Dataset` of batches x, (x, y) or (x, y, sample_weight); an array, a list of one for each input,
            or a dict of them by input name; or None for random inputs.
        sequence_length: what open dimensions are padded or cut to; None: the longest that occurs.

    Returns:
        By input name, (rows, ...), at most `ROWS` rows, evenly spread over `data`. Rows of weight zero are left out.

    Raises:
        UserError: `data` holds no row, or does not fit the model's inputs.
    """
    names = input_names(model)
    if data is None:
        batches = [_random_inputs(model, sequence_length or 16)]
    elif isinstance(data, dict):
        batches = [[np.asarray(data[name]) for name in names if name in data]]
    elif isinstance(data, tf.data.Dataset):
        batches = [_rows_of_weight(element) for element in data.take(_BATCHES_READ)]
    else:
        batches = [[np.asarray(array) for array in (data if isinstance(data, list | tuple) else [data])]]
    if any(len(batch) != len(names) for batch in batches):
        raise UserError(f"`calibration` must yield the model's inputs {names}; got {len(batches[0])} of them")
    for batch in batches:
        for name, tensor, array in zip(names, model.inputs, batch, strict=True):
            if not _fits(array.shape, tuple(tensor.shape)):
                raise UserError(f"`calibration` must yield {name!r} of shape {tuple(tensor.shape)}; got {array.shape}")
    columns = [
        _stack([batch[place] for batch in batches], tensor, sequence_length)
        for place, tensor in enumerate(model.inputs)
    ]
    if not len(columns[0]):
        raise UserError("`calibration` holds no example; give a dataset of inputs like those of training")
    chosen = np.unique(np.linspace(0, len(columns[0]) - 1, ROWS).astype(int))
    return {name: column[chosen] for name, column in zip(names, columns, strict=True)}


def _fits(shape, declared):
    """Whether sizes are those that the model declares; the first after the rows, which may be time, may be less."""
    if len(shape) != len(declared):
        return False
    sizes = list(zip(shape, declared, strict=True))[1:]
    return all(want is None or have == want or (axis == 0 and have < want) for axis, (have, want) in enumerate(sizes))


def _rows_of_weight(element):
    x, _, weight = keras.utils.unpack_x_y_sample_weight(element)
    arrays = [np.asarray(tensor) for tensor in tf.nest.flatten(x)]
    return arrays if weight is None else [array[np.asarray(weight) > 0] for array in arrays]


def _stack(arrays, tensor, sequence_length):
    """Rows of all batches, with dimensions that the model leaves open padded at the right by zeros to one size."""
    shape = [
        declared or sequence_length or max((array.shape[axis] for array in arrays), default=1)
        for axis, declared in enumerate(tensor.shape[1:], start=1)
    ]
    rows = np.zeros((sum(len(array) for array in arrays), *shape), tensor.dtype)
    start = 0
    for array in arrays:
        inside = tuple(slice(0, min(have, want)) for have, want in zip(array.shape[1:], shape, strict=True))
        rows[(slice(start, start + len(array)), *inside)] = array[(slice(None), *inside)]
        start += len(array)
    return rows


def _random_inputs(model, length):
    """Standard normal floats, and integers that every embedding of the model knows."""
    generator = np.random.default_rng(0)
    embeddings = [layer.input_dim for layer in model._flatten_layers() if isinstance(layer, keras.layers.Embedding)]
    arrays = []
    for tensor in model.inputs:
        shape = (8, *(size or length for size in tensor.shape[1:]))
        if np.issubdtype(np.dtype(tensor.dtype), np.floating):
            arrays.append(generator.standard_normal(shape))
        else:
            arrays.append(generator.integers(1, min(embeddings, default=2), shape))
    return arrays
