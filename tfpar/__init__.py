"""tfpar: recurrent networks, trained in parallel in TensorFlow and Keras, and shipped to phones.

`import tfpar` is light: it imports neither TensorFlow nor Keras, so that commands answer at once and `tfpar.cluster`
can set up devices before TensorFlow starts. The rooms load when they are first used.
"""

import importlib

from tfpar.saved_names import register_saved_names

__version__ = "0.1.0"

__all__ = ["__version__", "cluster", "data", "export", "layers", "models", "tasks", "train"]


def __getattr__(name: str):
    if name in __all__:
        return importlib.import_module(f"tfpar.{name}")
    raise AttributeError(f"module 'tfpar' has no attribute {name!r}")


register_saved_names()
