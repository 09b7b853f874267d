"""What a model was made with, for its manifest and card."""

import platform
from importlib import metadata


def read_versions() -> dict[str, str]:
    """Versions by name."""
    packages = {name: metadata.version(name) for name in ("tfpar", "tensorflow", "keras")}
    return {**packages, "python": platform.python_version()}
