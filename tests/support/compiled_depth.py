"""How many operations of a program of XLA depend on each other."""

import re
from typing import NamedTuple

_FREE = re.compile(r" (parameter|constant|get-tuple-element|tuple|bitcast)\(")


class Depth(NamedTuple):
    """Longest path of fused operations that depend on each other in a computation, and the number of its loops."""

    operations: int
    loops: int


def entry_depth(text):
    """Return the depth of a program's entry computation, from its optimized HLO."""
    return _depth(re.search(r"^ENTRY .*?^}", text, re.M | re.S)[0])


def body_depths(text):
    """Return the depths of the bodies of all loops of a program, the deepest first."""
    bodies = re.findall(r" while\(.*body=(%[\w.-]+)", text)
    return sorted(_depth(re.search(rf"^{re.escape(body)} .*?^}}", text, re.M | re.S)[0]) for body in bodies)[::-1]


def _depth(computation):
    depths: dict[str, int] = {}
    for name, operation in re.findall(r"^\s+(?:ROOT )?(%[\w.-]+) = (.*)$", computation, re.M):
        operands = [depths.get(operand, 0) for operand in re.findall(r"%[\w.-]+", operation)]
        depths[name] = max(operands, default=0) + (not _FREE.search(operation))
    return Depth(max(depths.values()), len(re.findall(r" while\(", computation)))
