"""Loads models of stock Keras layers, and replaces their recurrent layers by this package's."""

import warnings
from pathlib import Path

import keras

from tfpar.errors import UserError
from tfpar.export.conversion.counterparts import counterpart
from tfpar.export.conversion.samples import rows_to_compare, sample_inputs
from tfpar.export.conversion.serving import ServingModel
from tfpar.export.conversion.verify_outputs import compare_models
from tfpar.keras_private import is_functional

UNKNOWN_CLASS_REMEDY = "Import the module or file that defines it first"
_MAX_RELATIVE_ERROR = 1e-4
_ROWS_COMPARED = 10  # the padded ones are the last


def load_keras(path: Path | str) -> keras.Model:
    """Load a `.keras` or `.h5` file without changing its layers.

    Raises:
        UserError: the file cannot be read, contains Python code, or has a layer whose class is not registered.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no Keras model {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras raises many kinds of errors
        raise UserError(f"{path} cannot be loaded by Keras {keras.__version__}: {_explain(error)}") from error


def from_keras(model: keras.Model) -> keras.Model:
    """Replace Keras' LSTM, GRU, SimpleRNN and Bidirectional layers by this package's, for training or export.

    All other layers are shared with the model, and the new layers use its variables: training one trains both. Layers
    without a counterpart, such as ConvLSTM2D or RNN(cell), are unchanged.

    Args:
        model: functional or sequential, built.

    Returns:
        A model with the same inputs, outputs and layer names. Its outputs were compared with the model's.

    Raises:
        UserError: the model is subclassed or not built, or the outputs differ.
    """
    if not (isinstance(model, keras.Sequential) or is_functional(model)) or not model.built:
        raise UserError(
            f"`model` must be a functional or sequential model that is built; got {model.name}, a "
            f"{type(model).__name__}. Call it on keras.Input and make a keras.Model(inputs, outputs) of the result."
        )
    converted = keras.models.clone_model(model, clone_function=_replace_layer, recursive=True)
    _check_equal(converted, model)
    return converted


def _replace_layer(layer):
    return counterpart(layer) or layer


def _check_equal(converted, model):
    """Compare both models in float32 on random inputs, some of them padded."""
    found, expected = ServingModel(converted), ServingModel(model)
    rows = rows_to_compare(expected, sample_inputs(expected, None))[-_ROWS_COMPARED:]
    with found.cast_to_float32(), expected.cast_to_float32():
        difference = compare_models(found, expected, rows)
    if not difference.relative_error <= _MAX_RELATIVE_ERROR:
        raise UserError(
            f"{model.name} with this package's layers differs from Keras by {difference.error:.2g} on random inputs, "
            "so it cannot be converted. Export the original model, and report this with the model."
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
        return f"its class {missing!r} is unknown. {UNKNOWN_CLASS_REMEDY}"
    return (text.splitlines() or [type(error).__name__])[0][:300]


def _missing_class(text):
    for before, after in (("Could not locate class '", "'"), ("Unknown layer: '", "'")):
        if before in text:
            return text.split(before, 1)[1].split(after, 1)[0]
    return None
