"""Checks of arguments; each error names the argument, the expected values and the value it got."""

import difflib
import math
import numbers
from collections.abc import Iterable
from typing import Any


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Return "; did you mean ...?", the end of an error about a misspelled word, or "" if no choice is close to it.

    >>> did_you_mean("flaot32", ["float32", "float16", "int8"])
    "; did you mean 'float32'?"
    """
    known = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(word.lower(), known, n=1)
    return f"; did you mean {known[close[0]]!r}?" if close else ""


def check_positive_integer(name: str, value: Any) -> int:
    """Return `value` if it is an integer above zero; raise ValueError otherwise."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(
            f"Received an invalid value for argument `{name}`, expected a positive integer. Received: {name}={value!r}"
        )
    return int(value)


def check_fraction(name: str, value: Any) -> float:
    """Return `value` if it is in [0, 1); raise ValueError otherwise."""
    is_number = isinstance(value, numbers.Real)
    if not is_number or not 0 <= value < 1:
        raise ValueError(
            f"Received an invalid value for argument `{name}`, expected a number in [0, 1). Received: {name}={value!r}"
        )
    return value


def check_one_of(name: str, value: Any, allowed: Iterable) -> Any:
    """Return `value` if it is one of `allowed`; raise ValueError otherwise."""
    if not any(value is option or value == option for option in allowed):
        raise ValueError(
            f"Received an invalid value for argument `{name}`, expected one of {tuple(allowed)}. "
            f"Received: {name}={value!r}"
        )
    return value


def find_non_finite(value: object, name: str = "") -> str | None:
    """Find a number in nested dicts and lists that is not finite; return its path and value, or None.

    >>> find_non_finite({"metrics": {"loss": [1.0, float("nan")]}})
    'metrics.loss.1 is nan'
    """
    entries: Iterable[tuple[Any, Any]]
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list | tuple):
        entries = enumerate(value)
    else:
        return f"{name} is {value}" if isinstance(value, float) and not math.isfinite(value) else None
    found = (find_non_finite(entry, f"{name}.{key}" if name else str(key)) for key, entry in entries)
    return next(filter(None, found), None)
