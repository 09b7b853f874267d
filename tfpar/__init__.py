"""Recurrent networks, trained in parallel in TensorFlow and Keras, and exported to phones and microcontrollers.

`import tfpar` imports neither TensorFlow nor Keras, so that commands start fast and `tfpar.cluster` can set up devices
before TensorFlow starts. Subpackages are imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING

from tfpar.cpu_memory import reuse_cpu_memory
from tfpar.saved_names import register_saved_names

if TYPE_CHECKING:
    from tfpar import cluster, data, export, layers, models, tasks, testing, train
    from tfpar.export import from_keras

__version__ = "0.1.0"

__all__ = ["__version__", "cluster", "data", "export", "from_keras", "layers", "models", "tasks", "testing", "train"]


if not TYPE_CHECKING:  # for type checkers, all names are imported above, and any other name is an error

    def __getattr__(name: str) -> object:
        if name == "from_keras":  # in `export`, since it verifies the model; it serves training, too
            return importlib.import_module("tfpar.export").from_keras
        if name in __all__:
            return importlib.import_module(f"tfpar.{name}")
        raise AttributeError(f"module 'tfpar' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


reuse_cpu_memory()
register_saved_names()
