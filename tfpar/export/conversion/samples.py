"""Sample inputs for calibration and for comparing files with the model."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfpar.errors import UserError
from tfpar.export.conversion.serving import ServingModel, serving_model
from tfpar.export.conversion.verify_outputs import EXAMPLE, Row

ROWS = 256
_BATCHES_READ = 200
_ELEMENTS_READ = 2048  # of a dataset, generator or list of single rows
_EXAMPLES_COMPARED = 32
_PADDED_ROWS = 2  # of each kind
_RANDOM_ROWS = 8


def sample_inputs(
    model: keras.Model | ServingModel, data: Any, sequence_length: int | None = None
) -> dict[str, np.ndarray]:
    """Gather rows of model inputs, all of one length.

    Args:
        model: a built model, of any kind.
        data: a `tf.data.Dataset` of batches or single rows x, (x, y) or (x, y, sample_weight); an array; a list of one
            array for each input, or of rows; a dict of arrays by input name; a function that returns an iterator over
            lists or dicts of arrays, as `tf.lite` takes it for a representative dataset; or None for random inputs.
        sequence_length: size that open dimensions are padded or cut to; None: the longest that occurs.

    Returns:
        By input name, (rows, ...), at most `ROWS` rows, evenly spread over `data`, without rows of weight zero.

    Raises:
        UserError: `data` holds no row, does not fit the model's inputs, or holds NaN or infinity.
    """
    serving = serving_model(model)
    names = serving.input_names
    if data is None:
        batches = [_random_inputs(serving, sequence_length or 16)]
    else:
        batches = [_as_batch(serving, element, rows) for element, rows in _elements(serving, data)]
    columns = [
        _stack([batch[index] for batch in batches], tensor, sequence_length)
        for index, tensor in enumerate(serving.inputs)
    ]
    if not len(columns[0]):
        raise UserError("`calibration` holds no example; give a dataset of inputs like those of training")
    chosen = np.unique(np.linspace(0, len(columns[0]) - 1, ROWS).astype(int))
    samples = {name: column[chosen] for name, column in zip(names, columns, strict=True)}
    for name, rows in samples.items():
        if rows.dtype.kind == "f" and not np.isfinite(rows).all():
            row = int(np.argmin([np.isfinite(row).all() for row in rows]))
            raise UserError(f"`calibration` holds NaN or infinity in {name!r} (row {chosen[row]}). Give finite numbers")
    return samples


def rows_to_compare(
    model: keras.Model | ServingModel, samples: dict[str, np.ndarray], padding: str = "any"
) -> list[Row]:
    """Choose single rows on which files are compared with Keras; if the model has masks, some are padded.

    Args:
        model: a built model.
        samples: see `sample_inputs`.
        padding: "any": padded at the right, at the left, with gaps, and entirely; "right": not with gaps nor at the
            left.
    """
    serving, count = serving_model(model), min(_EXAMPLES_COMPARED, len(next(iter(samples.values()))))
    rows = [Row(EXAMPLE, {name: array[i : i + 1] for name, array in samples.items()}) for i in range(count)]
    if not serving.has_masks:
        return rows
    pads = {name: _padding_value(serving, tensor) for name, tensor in zip(samples, serving.inputs, strict=True)}
    if all(pad is None for pad in pads.values()):
        return rows
    for kind, is_valid in _KINDS.items():
        if padding == "right" and kind not in ("right-padded", "fully masked"):
            continue
        for row in rows[: _PADDED_ROWS if kind != "fully masked" else 1]:
            padded = {name: _pad(array, pads[name], is_valid) for name, array in row.inputs.items()}
            rows.append(Row(kind, padded))
    return rows


def _pad(array, pad, is_valid):
    """Move the first values of a row (1, time, ...) to the steps where `is_valid(time)` is true; pad the others."""
    if pad is None:
        return array
    valid = is_valid(array.shape[1])
    padded = np.full_like(array, pad)
    padded[:, valid] = array[:, : valid.sum()]
    return padded


_KINDS: dict[str, Callable[[int], np.ndarray]] = {
    "right-padded": lambda time: np.arange(time) < max(1, time // 2),
    "left-padded": lambda time: np.arange(time) >= time // 2,
    "gapped": lambda time: np.arange(time) % 3 != 0,
    "fully masked": lambda time: np.zeros(time, bool),
}


def _padding_value(serving, tensor):
    """Return the value of a padded step of an input; None if the input is not a sequence."""
    dtype = np.dtype(keras.backend.standardize_dtype(tensor.dtype)) if tensor.dtype != "string" else None
    if dtype is None or tensor.shape[1:2] == ():
        return None
    if dtype.kind in "iub":
        return 0 if len(tensor.shape) == 2 else None
    values = [layer.mask_value for layer in serving.layers if isinstance(layer, keras.layers.Masking)]
    return next(iter(values), 0.0) if len(tensor.shape) == 3 else None


def _elements(serving, data) -> Iterable[tuple[object, bool]]:
    """Yield the elements of `data`, and whether each may be a single row."""
    if isinstance(data, Iterator):
        raise UserError("`calibration` is an iterator, which can be read once. Give the function that makes it")
    if isinstance(data, tf.data.Dataset):
        elements = _dataset_elements(serving, data)
    elif callable(data):
        elements = itertools.islice(data(), _ELEMENTS_READ)
    elif isinstance(data, list | tuple) and not _is_list_of_inputs(serving, data):
        elements = data[:: max(1, len(data) // _ELEMENTS_READ)]
    else:
        return [(data, False)]
    return ((element, True) for element in elements)


def _dataset_elements(serving, data):
    for number, element in enumerate(data.take(_ELEMENTS_READ)):
        x, _, weight = keras.utils.unpack_x_y_sample_weight(element)
        arrays = _as_list(serving, x)
        is_batch = arrays[0].ndim == len(serving.inputs[0].shape)
        if is_batch and number >= _BATCHES_READ:
            return
        if weight is not None and is_batch:
            arrays = [array[np.asarray(weight) > 0] for array in arrays]
        elif weight is not None and not np.asarray(weight) > 0:
            continue
        yield arrays


def _is_list_of_inputs(serving, data) -> bool:
    """Whether a list holds an array for each input; else it holds rows."""
    if any(isinstance(element, dict | list | tuple) for element in data):
        return False
    return len(data) == 1 or len(serving.inputs) > 1


def _as_list(serving, element) -> list[np.ndarray]:
    """List the arrays of one element in the order of the inputs."""
    if isinstance(element, dict):
        names = serving.input_names
        own = [serving.renamed["inputs"].get(name, name) for name in names]
        names = own if all(name in element for name in own) else names
        return [np.asarray(element[name]) for name in names if name in element]
    leaves = tf.nest.flatten(element)
    if len(serving.inputs) == 1 and not any(isinstance(leaf, np.ndarray) or tf.is_tensor(leaf) for leaf in leaves):
        return [np.asarray(element)]  # a row of Python numbers
    return [np.asarray(leaf) for leaf in leaves]


def _as_batch(serving, element, may_be_row) -> list[np.ndarray]:
    """List the arrays of one element, with a batch axis; raise UserError if they do not fit the inputs."""
    arrays, names = _as_list(serving, element), serving.input_names
    if len(arrays) != len(names):
        raise UserError(f"`calibration` must yield the model's inputs {names}; got {len(arrays)} of them")
    pairs = zip(arrays, serving.inputs, strict=True)
    if may_be_row and all(array.ndim == len(tensor.shape) - 1 for array, tensor in pairs):
        arrays = [array[None] for array in arrays]
    for name, tensor, array in zip(names, serving.inputs, arrays, strict=True):
        if not _fits(array.shape, tuple(tensor.shape)):
            raise UserError(f"`calibration` must yield {name!r} of shape {tuple(tensor.shape)}; got {array.shape}")
    return arrays


def _fits(shape, declared):
    """Whether sizes are those that the model declares; the first after the batch, which may be time, may be less."""
    if len(shape) != len(declared):
        return False
    sizes = list(zip(shape, declared, strict=True))[1:]
    return all(want is None or have == want or (axis == 0 and have < want) for axis, (have, want) in enumerate(sizes))


def _stack(arrays, tensor, sequence_length):
    """Concatenate batches; pad dimensions that the model leaves open with zeros at the right to one size."""
    shape = [
        declared or sequence_length or max((array.shape[axis] for array in arrays), default=1)
        for axis, declared in enumerate(tensor.shape[1:], start=1)
    ]
    dtype = object if tensor.dtype == "string" else keras.backend.standardize_dtype(tensor.dtype)
    rows = np.zeros((sum(len(array) for array in arrays), *shape), "float32" if dtype == "bfloat16" else dtype)
    start = 0
    for array in arrays:
        inside = tuple(slice(0, min(have, want)) for have, want in zip(array.shape[1:], shape, strict=True))
        rows[(slice(start, start + len(array)), *inside)] = array[(slice(None), *inside)]
        start += len(array)
    return rows


def _random_inputs(serving, length):
    """Draw standard normal floats, integers that every table of the model has, and words of its vocabulary."""
    generator = np.random.default_rng(0)
    layers = serving.layers
    tables = [layer.input_dim for layer in layers if isinstance(layer, keras.layers.Embedding)]
    lookups = [layer for layer in layers if hasattr(layer, "get_vocabulary")]
    arrays = []
    for tensor in serving.inputs:
        shape = (_RANDOM_ROWS, *(size or length for size in tensor.shape[1:]))
        if tensor.dtype == "string":
            words = [str(word) for layer in lookups for word in layer.get_vocabulary() if word] or ["a", "word"]
            texts = [" ".join(row) for row in generator.choice(words, (int(np.prod(shape)), 5))]
            arrays.append(np.array(texts, object).reshape(shape))
        elif tensor.dtype == "bool":
            arrays.append(generator.random(shape) < 0.7)
        elif np.issubdtype(np.dtype(keras.backend.standardize_dtype(tensor.dtype)), np.integer):
            arrays.append(_random_integers(generator, shape, tables, lookups))
        else:
            arrays.append(generator.standard_normal(shape))
    return arrays


def _random_integers(generator, shape, tables, lookups):
    known = [layer.get_vocabulary() for layer in lookups if isinstance(layer, keras.layers.IntegerLookup)]
    if known:
        return generator.choice([int(value) for value in known[0]], shape)
    return generator.integers(1, max(2, min(tables, default=2)), shape)
