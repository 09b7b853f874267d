"""Versions of the software that a model is exported with, for its manifest and card."""

import platform
from importlib import metadata


def read_versions() -> dict[str, str]:
    """Read the versions of tfpar, TensorFlow, Keras and Python, by name."""
    packages = {name: metadata.version(name) for name in ("tfpar", "tensorflow", "keras")}
    return {**packages, "python": platform.python_version()}
