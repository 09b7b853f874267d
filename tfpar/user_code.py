"""Imports code that users name: a module, or the path of a file. Importing this module imports no TensorFlow."""

import contextlib
import importlib
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType

from tfpar.errors import UserError


def is_file(name: str) -> bool:
    """Return whether a name is that of a Python file rather than of a module."""
    return name.endswith(".py") and len(name) > len(".py")


def import_code(name: str, argument: str, given: str) -> ModuleType:
    """Import a module on the path or in the working directory, or a file.

    A file that is already a loaded module, or the script that runs, is not run again. A file whose stem is the name of
    another module becomes a module of its own.

    Args:
        name: "package.module" or "path/to/file.py".
        argument: name of the argument that gave it, for errors.
        given: value of the argument, for errors.

    Raises:
        UserError: there is no such module or file, or its code raises an error.
    """
    subject = (argument, given)
    return _import_file(Path(name), *subject) if is_file(name) else _import_module(name, *subject)


def _import_module(name, argument, given):
    with _searched_too(os.getcwd()), _import_errors(argument, given):
        importlib.invalidate_caches()  # the file may be a second old
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # a module that the user's module imports
            raise UserError(
                f"`{argument}` must name a module on the path or in the working directory; got {given!r}: there is no "
                f"module {error.name!r}. Give the path of the file, which ends in .py."
            ) from None


def _import_file(path, argument, given):
    path = path.expanduser().resolve()
    if not path.is_file():
        raise UserError(f"`{argument}` must name a file that exists; got {given!r}: there is no file {path}.")
    name = _choose_module_name(path)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:  # a link to a file with another suffix
        raise UserError(f"`{argument}` must name a .py file; got {given!r}, which is {path}.")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        with _searched_too(str(path.parent)), _import_errors(argument, given):
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
def _import_errors(argument, given):
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
            f"`{argument}` must name a module that can be imported; got {given!r}: {type(error).__name__} in "
            f"{Path(file or '?').name}, line {line}: {message}."
        ) from error
