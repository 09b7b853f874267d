"""Environment of a subprocess that runs a module of this package."""

import os
from pathlib import Path


def subprocess_environment(**settings: str) -> dict[str, str]:
    """Copy this process's environment, add settings, and put this package first on the import path."""
    root = str(Path(__file__).parents[3])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return {**os.environ, **settings, "PYTHONPATH": paths}
