"""Names of recurrent cells, and classes that are named as module:Class. Importing this module imports no TensorFlow."""

from typing import Any

from tfpar.checks import did_you_mean
from tfpar.errors import UserError
from tfpar.user_code import import_code, is_file

TITLES = {  # in words
    "lstm": "LSTM",
    "gru": "GRU",
    "rnn": "RNN",
    "min_gru": "MinGRU",
    "min_lstm": "MinLSTM",
    "rg_lru": "RG-LRU",
    "mlstm": "mLSTM",
    "para_gru": "ParaGRU",
    "para_lstm": "ParaLSTM",
}
BUILT_IN = tuple(TITLES)
EVALUATIONS = ("auto", "sequential", "scan", "newton")
REFERENCE = "module:Class"

registered: dict[str, Any] = {}


def is_reference(text: str) -> bool:
    """Return whether a text names a class, as `package.module:Class` or `path/file.py:Class`.

    >>> [is_reference(text) for text in ("peephole:PeepholeLSTM", "cells/peephole.py:PeepholeLSTM", "lstm", "lstm:")]
    [True, True, False, False]
    """
    module, _, name = text.rpartition(":")
    return name.isidentifier() and (is_file(module) or all(map(str.isidentifier, module.split("."))))


def is_user_cell(text: str) -> bool:
    """Return whether a text names a class or is the name of a registered cell."""
    return text in registered or is_reference(text)


def load_class(reference: str) -> Any:
    """Import a class from a module on the path or in the working directory, or from a file.

    Args:
        reference: see `is_reference`.

    Raises:
        UserError: the module or file does not exist or raises an error, or has no such attribute.
    """
    name, _, attribute = reference.rpartition(":")
    module = import_code(name, "cell", reference)
    if not hasattr(module, attribute):
        raise UserError(
            f"`cell` must name a class that exists; got {reference!r}: {name} has no {attribute!r}"
            f"{did_you_mean(attribute, vars(module))}"
        )
    return getattr(module, attribute)
