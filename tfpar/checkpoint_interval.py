"""Interval between checkpoints: in steps, epochs or seconds."""

import dataclasses
import re

_UNITS = {"step": "steps", "steps": "steps", "epoch": "epochs", "epochs": "epochs", "s": "seconds"}
SYNTAX = "Nsteps, Nepochs or Ns"


@dataclasses.dataclass(frozen=True)
class Interval:
    """Interval between checkpoints.

    Attributes:
        count: positive integer.
        unit: "steps", "epochs" or "seconds".
    """

    count: int
    unit: str


def parse_interval(text: str) -> Interval:
    """Parse an interval such as "50steps", "1epoch" or "300s".

    Raises:
        ValueError: it is none.
    """
    match = re.fullmatch(r"([0-9]+) ?([a-z]+)", text) if isinstance(text, str) else None
    if match is None or match[2] not in _UNITS or int(match[1]) < 1:
        raise ValueError(f"`every` must be {SYNTAX}, such as 50steps, 1epoch or 300s; got {text!r}.")
    return Interval(int(match[1]), _UNITS[match[2]])


def is_interval(text: str) -> bool:
    """Return whether `parse_interval` accepts a text."""
    try:
        parse_interval(text)
    except ValueError:
        return False
    return True
