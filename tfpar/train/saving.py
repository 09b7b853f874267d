"""Saves a model that trains in several processes."""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from tfpar.cluster import is_chief, outside_scope
from tfpar.cluster.multiworker import is_multiworker
from tfpar.train import keras_signatures

# Type checkers see the methods that `super()` finds in the model.
_Mixed: Any = keras.Model if TYPE_CHECKING else object


class SavedByWorkers(_Mixed):
    """Mixin of a `keras.Model` whose methods may be called within a scope, on one worker or on all.

    If all workers save to the same file, each write is atomic and the last one counts. `export` writes a directory, on
    the chief alone.
    """

    @keras_signatures.overrides(keras_signatures.save)
    def save(self, filepath: keras_signatures.FilePath, *args: Any, **kwargs: Any) -> None:
        with outside_scope(), self._write_atomically(filepath, kwargs) as path:
            super().save(path, *args, **kwargs)

    @keras_signatures.overrides(keras_signatures.save_weights)
    def save_weights(self, filepath: keras_signatures.FilePath, *args: Any, **kwargs: Any) -> None:
        with outside_scope(), self._write_atomically(filepath, kwargs) as path:
            super().save_weights(path, *args, **kwargs)

    @keras_signatures.overrides(keras_signatures.load_weights)
    def load_weights(self, *args: Any, **kwargs: Any) -> None:
        with outside_scope():
            super().load_weights(*args, **kwargs)

    @keras_signatures.overrides(keras_signatures.export)
    def export(self, *args: Any, **kwargs: Any) -> None:
        if is_chief() or not is_multiworker(self.distribute_strategy):
            with outside_scope():
                super().export(*args, **kwargs)

    @contextlib.contextmanager
    def _write_atomically(self, filepath, options):
        """Yield the path to write to, whose file then becomes `filepath`."""
        path = Path(filepath)
        is_file = path.suffix in (".keras", ".h5") and path.parent.is_dir() and options.get("zipped") is not False
        if not is_file or not is_multiworker(self.distribute_strategy):
            yield filepath
            return
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".part", dir=path.parent) as directory:
            yield Path(directory, path.name)
            for file in Path(directory).iterdir():
                os.replace(file, path.with_name(file.name))
