"""States of the generators of Python and NumPy, which shuffle and augment data."""

import random
from typing import Any

import numpy as np


def read_random_state() -> dict[str, Any]:
    """Return the states of both global generators."""
    version, numbers, next_gauss = random.getstate()
    name, keys, index, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "python": [version, np.array(numbers, np.uint64), next_gauss],
        "numpy": [str(name), np.array(keys), int(index), int(has_gauss), float(gauss)],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Restore a state of `read_random_state`."""
    version, numbers, next_gauss = state["python"]
    random.setstate((version, tuple(map(int, numbers)), next_gauss))
    name, keys, index, has_gauss, gauss = state["numpy"]
    np.random.set_state((name, keys, index, has_gauss, gauss))
