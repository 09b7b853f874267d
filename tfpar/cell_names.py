"""Names of recurrent cells, and classes that are named as module:Class. Importing this module imports no TensorFlow."""

import contextlib
import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from tfpar.checks import did_you_mean
from tfpar.errors import UserError

BUILT_IN = ("lstm", "gru", "rnn")
REFERENCE = "module:Class"

registered: dict[str, Any] = {}


def is_reference(text: str) -> bool:
    """Return whether a text names a class, as `package.module:Class` or `path/file.py:Class`.

    >>> [is_reference(text) for text in ("peephole:PeepholeLSTM", "cells/peephole.py:PeepholeLSTM", "lstm", "lstm:")]
    [True, True, False, False]
    """
    module, _, name = text.rpartition(":")
    return name.isidentifier() and (_is_file(module) or all(map(str.isidentifier, module.split("."))))


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
    module = _import_file(Path(name), reference) if _is_file(name) else _import_module(name, reference)
    if not hasattr(module, attribute):
        raise UserError(
            f"`cell` must name a class that exists; got {reference!r}: {name} has no {attribute!r}"
            f"{did_you_mean(attribute, vars(module))}."
        )
    return getattr(module, attribute)


def _is_file(module):
    return module.endswith(".py") and len(module) > len(".py")


def _import_module(name, reference):
    with _searched_too(os.getcwd()), _import_errors(reference):
        importlib.invalidate_caches()  # the file may be a second old
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # a module that the user's module imports
            raise UserError(
                f"`cell` must name a module on the path or in the working directory; got {reference!r}: there is no "
                f"module {error.name!r}. Give the path of the file, as in path/to/file.py:Class."
            ) from None


def _import_file(path, reference):
    path = path.expanduser().resolve()
    if not path.is_file():
        raise UserError(f"`cell` must name a file that exists; got {reference!r}: there is no file {path}.")
    name = _choose_module_name(path)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:  # a link to a file with another suffix
        raise UserError(f"`cell` must name a .py file; got {reference!r}, which is {path}.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        with _searched_too(str(path.parent)), _import_errors(reference):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _choose_module_name(path):
    """Return the name of a file's module: its stem, unless another module has that name, or else its path."""
    if str(path) == str(Path(getattr(sys.modules["__main__"], "__file__", None) or ".").resolve()):
        return "__main__"
    loaded = sys.modules.get(path.stem)
    origin = getattr(loaded, "__file__", None)
    if origin and Path(origin).resolve() == path:
        return path.stem
    is_free = loaded is None and path.stem.isidentifier() and importlib.util.find_spec(path.stem) is None
    return path.stem if is_free else str(path)


@contextlib.contextmanager
def _searched_too(directory):
    """Search a directory for modules, after all others."""
    sys.path.append(directory)
    try:
        yield
    finally:
        if directory in sys.path:
            del sys.path[len(sys.path) - 1 - sys.path[::-1].index(directory)]


@contextlib.contextmanager
def _import_errors(reference):
    """Convert an error of the user's module to one sentence with the last line of code that it passed."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        file, line = (
            (error.filename, error.lineno) if isinstance(error, SyntaxError) else (frame.filename, frame.lineno)
        )
        message = error.msg if isinstance(error, SyntaxError) else error
        raise UserError(
            f"`cell` must name a module that can be imported; got {reference!r}: {type(error).__name__} in "
            f"{Path(file or '?').name}, line {line}: {message}."
        ) from error
