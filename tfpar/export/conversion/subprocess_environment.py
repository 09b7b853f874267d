"""The environment of a process that runs a module of this package."""

import os
from pathlib import Path


def subprocess_environment(**settings: str) -> dict[str, str]:
    """This process's environment, with these settings, in which a child finds this very package."""
    root = str(Path(__file__).parents[3])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return {**os.environ, **settings, "PYTHONPATH": paths}
