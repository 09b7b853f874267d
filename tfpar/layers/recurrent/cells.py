"""The table of cells: one row for each kind of recurrent network."""

import dataclasses
from typing import Any

import keras

from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.layers.recurrent.gru import GRU
from tfpar.layers.recurrent.lstm import LSTM
from tfpar.layers.recurrent.simple_rnn import SimpleRNN
from tfpar.ops import gru, lstm, simple_rnn
from tfpar.ops.recurrence import Recurrence


@dataclasses.dataclass(frozen=True)
class Cell:
    """One kind of recurrent network, here, in Keras and in PyTorch.

    `tfpar.ops.cudnn` has the modes and gate orders of cuDNN.

    Attributes:
        name: the value of `--cell`.
        layer: this package's layer.
        recurrence: its recurrence.
        keras_layer: the stock layer with the same weights and arguments; None if there is none.
        keras_cell: the stock cell.
        torch_name: suffix of the class in `torch.nn`; None if there is none.
        torch_gate_order: for each gate of the layer its index in PyTorch.
    """

    name: str
    layer: type[RecurrentLayer]
    recurrence: type[Recurrence]
    keras_layer: type[keras.layers.RNN] | None = None
    keras_cell: type[keras.layers.Layer] | None = None
    torch_name: str | None = None
    torch_gate_order: tuple[int, ...] = ()


CELLS = {
    cell.name: cell
    for cell in (
        Cell("lstm", LSTM, lstm.LSTM, keras.layers.LSTM, keras.layers.LSTMCell, "LSTM", (0, 1, 2, 3)),
        Cell("gru", GRU, gru.GRU, keras.layers.GRU, keras.layers.GRUCell, "GRU", (1, 0, 2)),
        Cell(
            "rnn",
            SimpleRNN,
            simple_rnn.SimpleRNN,
            keras.layers.SimpleRNN,
            keras.layers.SimpleRNNCell,
            "RNN",
            (0,),
        ),
    )
}

LAYERS = {name: cell.layer for name, cell in CELLS.items()}

COUNTERPARTS = {cell.keras_layer: cell.layer for cell in CELLS.values() if cell.keras_layer}


def convert_stock_layer(layer: keras.layers.RNN) -> RecurrentLayer:
    """Make this package's layer of a stock one, with its configuration and, if it is built, on its variables.

    Args:
        layer: its class must be a key of `COUNTERPARTS`.
    """
    converted = COUNTERPARTS[type(layer)](**_stock_arguments(layer))
    if layer.built:
        share_weights(converted, layer)
    return converted


def share_weights(layer: RecurrentLayer, stock: keras.layers.RNN) -> None:
    """Use the variables of a built stock layer in a layer of the same shapes."""
    cell = stock.cell
    layer.adopt_weights(cell.kernel, cell.recurrent_kernel, cell.bias if cell.use_bias else None, stock.states)


def _stock_arguments(layer: keras.layers.RNN) -> dict[str, Any]:
    """Return the constructor arguments of a stock layer, with the objects of its cell instead of their configurations.

    Objects of unregistered classes could not be deserialized.
    """
    arguments = dict(layer.get_config())
    for name in arguments:
        if hasattr(layer.cell, name) and name not in ("name", "dtype", "trainable"):
            arguments[name] = getattr(layer.cell, name)
    return {**arguments, "dtype": layer.dtype_policy, "activity_regularizer": layer.activity_regularizer}
