"""Refuses to train in a worker whose program makes no multi-worker strategy, and prints a `UserError` as one line.

Without such a strategy each worker would train a model of its own, and all would write the same files. Python imports a
module of this name before the user's program. This one acts once the program imports Keras.
"""

import functools
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import types
import typing


class KerasFinder:
    """Finder of `sys.meta_path` that guards Keras' training methods once Keras is imported."""

    def __init__(self):
        self._asks_others = False

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name != "keras" or self._asks_others:
            return None
        self._asks_others = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asks_others = False
        if spec is None:
            return None
        loader: typing.Any = spec.loader  # its methods are replaced
        execute = loader.exec_module

        def execute_and_guard(module):
            execute(module)
            guard_training(module)

        loader.exec_module = execute_and_guard
        return spec


def guard_training(keras: types.ModuleType) -> None:
    """Make `fit`, `train_on_batch` and the optimizers' `apply` check the strategy first.

    Args:
        keras: the module.
    """
    if keras.config.backend() != "tensorflow":
        return
    for owner, name in ((keras.Model, "fit"), (keras.Model, "train_on_batch"), (keras.optimizers.Optimizer, "apply")):
        setattr(owner, name, _guarded(getattr(owner, name)))


def _guarded(method):
    @functools.wraps(method)
    def check_and_call(self, *args, **kwargs):
        try:
            from tfpar.cluster.multiworker import check_trains_together
        except ImportError:  # an interpreter without tfpar
            return method(self, *args, **kwargs)
        check_trains_together(getattr(self, "distribute_strategy", None))
        return method(self, *args, **kwargs)

    return check_and_call


def show_exception(kind: type, error: BaseException, traceback: types.TracebackType | None) -> None:
    """End the program at a `UserError` as commands do: one line on stderr, and exit code 2."""
    errors = sys.modules.get("tfpar.errors")
    if errors is None or not isinstance(error, errors.UserError):
        return sys.__excepthook__(kind, error, traceback)
    print("error:", " ".join(str(error).split()), file=sys.stderr)
    raise SystemExit(errors.USER_ERROR_EXIT_CODE)


def run_hidden_module() -> None:
    """Import the module of this name that would have been imported but for this one, if there is one."""
    directory = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != directory]
    this = sys.modules.pop(__name__)
    try:
        importlib.import_module(__name__)
    except ImportError as error:
        if error.name != __name__:
            raise
    finally:
        sys.modules.setdefault(__name__, this)


if __name__ == "sitecustomize":
    sys.meta_path.insert(0, KerasFinder())
    sys.excepthook = show_exception
    run_hidden_module()
