"""Builds Keras models from saved weights of PyTorch's `nn.LSTM`, `nn.GRU` and `nn.RNN`.

PyTorch has, for each layer and direction, weights (gates * units, inputs) and (gates * units, units) and two biases.
Its LSTM has Keras' order of gates, i f g o. Its GRU has r z n where Keras has z r n. It adds the second bias before the
reset gate, as Keras' `reset_after` does, so both biases are needed.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from tfpar.checks import check_one_of
from tfpar.errors import MissingExtraError, UserError
from tfpar.export.foreign.torch_file import read_torch_file
from tfpar.files import open_file
from tfpar.layers import GRU, Bidirectional, SimpleRNN
from tfpar.layers.recurrent.cells import CELLS

_CELLS_BY_GATES = {cell.recurrence.num_gates: cell for cell in CELLS.values() if cell.torch_name}
_NAME = re.compile(r"(?:(?P<prefix>.+)\.)?weight_hh_l(?P<layer>\d+)")
_NONLINEARITIES = ("tanh", "relu")


def load_torch(
    path: Path | str, prefix: str | None = None, return_sequences: bool = True, nonlinearity: str | None = None
) -> keras.Model:
    """Load a `.safetensors`, `.pt` or `.pth` file without running code of its author; see `from_torch`.

    Raises:
        UserError: the file cannot be read, or contains no such stack.
        MissingExtraError: the file is a `.safetensors` file, and `safetensors` is not installed.
    """
    if Path(path).suffix in (".pt", ".pth"):
        return from_torch(read_torch_file(path), prefix, return_sequences, nonlinearity)
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as error:
        raise MissingExtraError("safetensors", "torch", "to read PyTorch's weights") from error
    try:
        open_file(path).close()  # refuses FIFOs, on which the library would block
        weights = load_file(path)
    except (OSError, SafetensorError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise UserError(f"{path} cannot be read as safetensors: {error}") from error
    return from_torch(weights, prefix, return_sequences, nonlinearity)


def from_torch(
    weights: Mapping[str, np.ndarray],
    prefix: str | None = None,
    return_sequences: bool = True,
    nonlinearity: str | None = None,
) -> keras.Model:
    """Build a Keras model from the state dict of a PyTorch stack; dropout between its layers is omitted.

    Args:
        weights: float arrays by PyTorch's names, "lstm.weight_ih_l0" and so on. Others are ignored.
        prefix: the name before the last dot, if there are several stacks; "" for none.
        return_sequences: whether to return outputs of all steps; else of the last step, in a bidirectional stack of
            each direction.
        nonlinearity: "tanh" or "relu" for an `nn.RNN`, whose weights do not determine it; None for LSTM and GRU.

    Returns:
        A model with the input "sequences", float (batch, time, inputs), regardless of `batch_first`.

    Raises:
        UserError: there is no such stack or there are several, it has projections (`proj_size`), or weights do not
            fit; or it is an `nn.RNN`, and `nonlinearity` is missing.
        ValueError: `nonlinearity` is not one of its values.
    """
    check_one_of("nonlinearity", nonlinearity, (None, *_NONLINEARITIES))
    found = _find_stacks(weights)
    if prefix is None and len(found) > 1:
        raise UserError(f"`prefix` must be one of {', '.join(map(repr, found))}, since there are several stacks")
    prefix = next(iter(found), "") if prefix is None else prefix
    if prefix not in found:
        available = f"there is {', '.join(map(repr, found))}" if found else "there is none"
        raise UserError(f"no PyTorch recurrent stack has the prefix {prefix!r} (NAME.weight_hh_l0 ...): {available}")
    depth = found[prefix]
    tensors = {name.removeprefix(f"{prefix}.") if prefix else name: np.asarray(w) for name, w in weights.items()}
    if any(name.startswith("weight_hr_l") for name in tensors):
        raise UserError(f"{prefix or 'the stack'} has projections (proj_size), which are not supported")
    cell, *_, (kernel, *_) = _convert_weights(tensors, "l0")
    if cell is SimpleRNN and nonlinearity is None:
        raise UserError(
            "`nonlinearity` must be 'tanh', PyTorch's default, or 'relu', since the weights of an nn.RNN do not "
            "determine it"
        )
    options = {"activation": nonlinearity} if cell is SimpleRNN else {}
    inputs = x = keras.Input((None, kernel.shape[0]), name="sequences")
    for number in range(depth):
        x = _make_layer(tensors, number, return_sequences or number < depth - 1, x.shape[-1], options)(x)
    return keras.Model(inputs, x)


def _find_stacks(weights) -> dict[str, int]:
    """Return the number of layers by prefix."""
    depths: dict[str, int] = {}
    for match in filter(None, map(_NAME.fullmatch, weights)):
        prefix = match["prefix"] or ""
        depths[prefix] = max(depths.get(prefix, 0), int(match["layer"]) + 1)
    return depths


def _make_layer(tensors, number, return_sequences, inputs, options):
    directions = [_convert_weights(tensors, f"l{number}")]
    if f"weight_hh_l{number}_reverse" in tensors:
        directions.append(_convert_weights(tensors, f"l{number}_reverse"))
    cell, units, use_bias, arrays = directions[0]
    if any([a.shape for a in arrays] != [a.shape for a in other] for *_, other in directions[1:]):
        raise UserError(f"the weights of the two directions of layer {number} are of different shapes")
    if arrays[0].shape[0] != inputs:
        raise UserError(
            f"weight_ih_l{number} must have {inputs} inputs, as layer {number} receives; got {arrays[0].shape[0]}"
        )
    layer = cell(units, return_sequences=return_sequences, use_bias=use_bias, name=f"layer_{number}", **options)
    if len(directions) == 2:
        layer = Bidirectional(layer, name=f"layers_{number}")
    layer.build((None, None, inputs))
    layer.set_weights([w for *_, of_direction in directions for w in of_direction])
    return layer


def _convert_weights(tensors, suffix):
    """Return cell, units, whether there are biases, and arrays in Keras' order."""
    try:
        kernel, recurrent = (tensors[f"weight_{kind}_{suffix}"].T.astype(np.float32) for kind in ("ih", "hh"))
    except KeyError as error:
        raise UserError(f"PyTorch's weights lack {error}") from error
    is_matrix = kernel.ndim == recurrent.ndim == 2 and kernel.size and recurrent.size
    units = recurrent.shape[0] if is_matrix else 0
    gates = recurrent.shape[1] // units if is_matrix else 0
    if gates not in _CELLS_BY_GATES or recurrent.shape[1] != gates * units or kernel.shape[1] != gates * units:
        raise UserError(
            f"weight_ih_{suffix} {kernel.T.shape} and weight_hh_{suffix} {recurrent.T.shape} do not fit an LSTM, GRU "
            "or RNN"
        )
    cell = _CELLS_BY_GATES[gates]
    arrays = [kernel, recurrent]
    names = [name for name in (f"bias_ih_{suffix}", f"bias_hh_{suffix}") if name in tensors]
    biases = [tensors[name].astype(np.float32) for name in names]
    if len(biases) == 1 or any(bias.shape != (gates * units,) for bias in biases):
        raise UserError(
            f"bias_ih_{suffix} and bias_hh_{suffix} must both exist, of {gates * units} numbers, or neither"
        )
    if biases:
        arrays.append(np.stack(biases) if cell.layer is GRU else np.sum(biases, axis=0))
    by_gate = [np.split(array, gates, axis=-1) for array in arrays]
    arrays = [np.concatenate([split[index] for index in cell.torch_gate_order], axis=-1) for split in by_gate]
    return cell.layer, units, bool(biases), arrays
