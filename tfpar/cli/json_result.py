"""Prints results as strict JSON, without NaN and infinity."""

import json
import math


def find_non_finite(value: object, name: str = "") -> str | None:
    """Find a number in nested dicts and lists that is not finite; return its path and value, or None.

    >>> find_non_finite({"metrics": {"loss": [1.0, float("nan")]}})
    'metrics.loss.1 is nan'
    """
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list | tuple):
        entries = enumerate(value)
    else:
        return f"{name} is {value}" if isinstance(value, float) and not math.isfinite(value) else None
    found = (find_non_finite(entry, f"{name}.{key}" if name else str(key)) for key, entry in entries)
    return next(filter(None, found), None)


def print_json(value: object) -> None:
    """Print a finite value as one line."""
    print(json.dumps(value, allow_nan=False), flush=True)
