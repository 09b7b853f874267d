"""Models of stock Keras layers: their LSTM, GRU, SimpleRNN and Bidirectional have counterparts in this package."""

import warnings
from pathlib import Path

import keras

from tfpar.errors import UserError
from tfpar.export.conversion.counterparts import counterpart
from tfpar.export.conversion.samples import rows_to_compare, sample_inputs
from tfpar.export.conversion.serving import ServingModel
from tfpar.export.conversion.verify_outputs import compare_models
from tfpar.keras_private import is_functional

_MAX_RELATIVE_ERROR = 1e-4
_ROWS_COMPARED = 10  # the padded ones are the last


def load_keras(path: Path | str) -> keras.Model:
    """Load a `.keras` or `.h5` file; the model stays as it is, with all its layers and what they learned.

    Raises:
        UserError: the file cannot be read, holds Python code, or has a layer whose class is not registered.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no Keras model {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises whatever its parts do
        raise UserError(f"{path} cannot be loaded by Keras {keras.__version__}: {_explain(error)}") from error


def from_keras(model: keras.Model) -> keras.Model:
    """Make a model with this package's LSTM, GRU, SimpleRNN and Bidirectional in place of Keras'.

    All other layers are the model's own, and the new layers use its variables: training one trains both. Layers that
    have no counterpart, such as ConvLSTM2D or RNN(cell), stay as they are.

    Args:
        model: functional or sequential, built.

    Returns:
        A model with the same inputs, outputs and layer names. Its outputs were compared with the model's.

    Raises:
        UserError: the model is subclassed or not built, or its outputs would differ.
    """
    if not (isinstance(model, keras.Sequential) or is_functional(model)) or not model.built:
        raise UserError(
            f"{model.name} is a {type(model).__name__}; a functional or sequential model that is built is needed. "
            "Call it on keras.Input and make a keras.Model(inputs, outputs) of the result."
        )
    converted = keras.models.clone_model(model, clone_function=_clone_or_keep, recursive=True)
    _check_equal(converted, model)
    return converted


def _clone_or_keep(layer):
    return counterpart(layer) or layer


def _check_equal(converted, model):
    """Compare both in float32 on random inputs, padded rows among them."""
    found, expected = ServingModel(converted), ServingModel(model)
    rows = rows_to_compare(expected, sample_inputs(expected, None))[-_ROWS_COMPARED:]
    with found.cast_to_float32(), expected.cast_to_float32():
        difference = compare_models(found, expected, rows)
    if not difference.relative_error <= _MAX_RELATIVE_ERROR:
        raise UserError(
            f"{model.name} with this package's layers differs from Keras by {difference.error:.2g} on random inputs: "
            f"it cannot be converted. Export it as it is, or report it with the model."
        )


def _explain(error):
    text = str(error).strip()
    if "Lambda" in text and "safe_mode" in text:
        return (
            "it has a Lambda layer, which holds Python code of the file's author. Replace it by a registered layer, or "
            "load the file in Python with safe_mode=False and call tfpar.export there"
        )
    missing = _missing_class(text)
    if missing:
        return f"its class {missing!r} is not known here. Give the module or file that defines it with --import"
    return (text.splitlines() or [type(error).__name__])[0][:300]


def _missing_class(text):
    for before, after in (("Could not locate class '", "'"), ("Unknown layer: '", "'")):
        if before in text:
            return text.split(before, 1)[1].split(after, 1)[0]
    return None
