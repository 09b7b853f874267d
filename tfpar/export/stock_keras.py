"""Models from outside: stock Keras layers become this package's, with the same weights."""

from pathlib import Path

import keras

from tfpar.errors import UserError
from tfpar.layers import GRU, LSTM, Bidirectional, SimpleRNN

_OURS = {keras.layers.LSTM: LSTM, keras.layers.GRU: GRU, keras.layers.SimpleRNN: SimpleRNN}


def load_keras(path: Path | str) -> keras.Model:
    """Loads a `.keras` or `.h5` file, and returns the model of `from_keras`.

    Raises:
        UserError: the file cannot be read, holds code of its author's, or a layer has no counterpart here.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no Keras model {path}")
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever its parts do
        raise UserError(f"{path} cannot be loaded by Keras {keras.__version__}: {_first_line(error)}") from error
    return from_keras(model)


def from_keras(model: keras.Model) -> keras.Model:
    """A copy of a model in which LSTM, GRU, SimpleRNN and Bidirectional are this package's.

    Args:
        model: functional or sequential, built.

    Returns:
        A model with the same inputs, outputs, layer names and weights.

    Raises:
        UserError: the model is subclassed or not built, or a recurrent layer is none of these.
    """
    if not isinstance(model, (keras.Sequential, keras.src.models.functional.Functional)) or not model.built:
        raise UserError(
            f"{model.name} is a {type(model).__name__}; a functional or sequential model that is built is needed. "
            "Call it on keras.Input and make a keras.Model(inputs, outputs) of the result."
        )
    copy = keras.models.clone_model(model, clone_function=_counterpart, recursive=True)
    copy.set_weights(model.get_weights())
    return copy


def _counterpart(layer):
    if isinstance(layer, keras.layers.Bidirectional) and not isinstance(layer, Bidirectional):
        return Bidirectional(
            _counterpart(layer.forward_layer),
            merge_mode=layer.merge_mode,
            backward_layer=_counterpart(layer.backward_layer),
            name=layer.name,
            dtype=layer.dtype_policy,
        )
    ours = _OURS.get(type(layer))
    if ours is not None:
        return ours.from_config(layer.get_config())
    if isinstance(layer, keras.layers.RNN):
        raise UserError(
            f"the layer {layer.name!r} is a {type(layer).__name__}, which has no counterpart here; "
            f"LSTM, GRU, SimpleRNN and Bidirectional of these have"
        )
    return type(layer).from_config(layer.get_config())


def _first_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
