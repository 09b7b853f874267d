"""The table of cells: one row for each kind of recurrent network."""

import dataclasses
import inspect
from typing import Any

import keras

from tfpar import cell_names
from tfpar.checks import check_one_of
from tfpar.errors import UserError
from tfpar.keras_private import flatten_layers
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.layers.recurrent.gru import GRU
from tfpar.layers.recurrent.lstm import LSTM
from tfpar.layers.recurrent.min_gru import MinGRU
from tfpar.layers.recurrent.min_lstm import MinLSTM
from tfpar.layers.recurrent.mlstm import MLSTM
from tfpar.layers.recurrent.para_gru import ParaGRU
from tfpar.layers.recurrent.para_lstm import ParaLSTM
from tfpar.layers.recurrent.rg_lru import RGLRU
from tfpar.layers.recurrent.simple_rnn import SimpleRNN
from tfpar.ops import gru, lstm, min_gru, mlstm, para_gru, para_lstm, rg_lru, simple_rnn
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
        Cell("min_gru", MinGRU, min_gru.MinGRU),
        Cell("min_lstm", MinLSTM, min_gru.MinLSTM),
        Cell("rg_lru", RGLRU, rg_lru.RGLRU),
        Cell("mlstm", MLSTM, mlstm.MLSTM),
        Cell("para_gru", ParaGRU, para_gru.ParaGRU),
        Cell("para_lstm", ParaLSTM, para_lstm.ParaLSTM),
    )
}

LAYERS = {name: cell.layer for name, cell in CELLS.items()}

# What the models of `tfpar.models` and the recipes give to a layer.
_NEEDED_ARGUMENTS = (
    "kernel_initializer",
    "recurrent_initializer",
    "dropout",
    "recurrent_dropout",
    "seed",
    "return_sequences",
    "return_state",
    "go_backwards",
    "name",
)

COUNTERPARTS = {cell.keras_layer: cell.layer for cell in CELLS.values() if cell.keras_layer}


def register_cell(name: str, layer_class: type[RecurrentLayer]) -> None:
    """Add a recurrent layer to the values of `cell`, in the builders of `tfpar.models` and in the settings of tasks.

    Args:
        name: not that of a built-in cell; a second registration replaces the first.
        layer_class: its constructor must accept the arguments of `RecurrentLayer`.

    Raises:
        ValueError: the name is that of a built-in cell or contains a colon, or the class is not such a layer.
    """
    if not isinstance(name, str) or not name or ":" in name or name in cell_names.BUILT_IN:
        raise ValueError(f"`name` must be a new name without a colon; got {name!r}. Choose another.")
    LAYERS[name] = cell_names.registered[name] = check_layer_class(layer_class)


def find_layer(
    cell: str | type[RecurrentLayer], built_in: tuple[str, ...] = cell_names.BUILT_IN
) -> type[RecurrentLayer]:
    """Return the layer class of a cell.

    Args:
        cell: one of `built_in`, a registered name, "module:Class", "path/to/file.py:Class" or the class itself.
        built_in: names of the built-in cells to choose from.

    Raises:
        ValueError: there is no such cell.
        UserError: the class cannot be imported or is not a recurrent layer of this package.
    """
    if isinstance(cell, str) and not cell_names.is_reference(cell):
        return LAYERS[check_one_of("cell", cell, (*built_in, *cell_names.registered))]
    return check_layer_class(cell_names.load_class(cell) if isinstance(cell, str) else cell, given=cell)


def set_evaluation(model: keras.Model, evaluation: str) -> None:
    """Set `evaluation` of all recurrent layers of a model; call it before the model is traced.

    Raises:
        ValueError: a layer does not support it.
    """
    for layer in flatten_layers(model):
        if isinstance(layer, RecurrentLayer):
            layer.set_evaluation(evaluation)


def check_layer_class(layer_class: Any, given: Any = None) -> type[RecurrentLayer]:
    """Return a class if models can be built of it; raise UserError otherwise.

    Args:
        layer_class: any object.
        given: how the user named it, for the error; None: the class itself.
    """
    sentence = f"`cell` must name a subclass of tfpar.layers.RecurrentLayer; got {given or layer_class!r}"
    if not inspect.isclass(layer_class) or not issubclass(layer_class, RecurrentLayer):
        raise UserError(f"{sentence}, which is none. See docs/new_cell.md.")
    if inspect.isabstract(layer_class):
        missing = ", ".join(sorted(layer_class.__abstractmethods__))
        raise UserError(f"{sentence}, which does not implement {missing}. See docs/new_cell.md.")
    try:
        inspect.signature(layer_class).bind(1, **dict.fromkeys(_NEEDED_ARGUMENTS))
    except TypeError as error:
        raise UserError(
            f"{sentence}, whose constructor does not accept (units, {', '.join(_NEEDED_ARGUMENTS)}): {error}. "
            "Pass **kwargs on to RecurrentLayer."
        ) from None
    return layer_class


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
