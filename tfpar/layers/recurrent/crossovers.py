"""The table of crossovers: from how many steps the parallel evaluation of a cell takes less time than a loop.

`tfpar bench scan --store_crossovers FILE` measures it for the device that it runs on. Each device has an entry:

    {"CPU": {"origin": "how the figures were found", "steps": {"para_gru": null, ..., "other": null}}}

A number of steps, or null: the loop takes less time at all lengths that were measured. "other" is for further cells.
"""

import functools
import json
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).with_name("crossovers.json")


class Crossover(NamedTuple):
    """One entry of the table.

    Attributes:
        steps: the parallel evaluation is faster from so many steps; None: never.
        device: "CPU", "GPU" or "TPU".
    """

    steps: int | None
    device: str

    def is_reached(self, steps: int | None) -> bool:
        """Whether a sequence is long enough; one of unknown length is, unless no length is."""
        return self.steps is not None and (steps is None or steps >= self.steps)

    def __str__(self) -> str:
        if self.steps is None:
            return f"on a {self.device} a loop takes less time at any number of steps"
        if not self.steps:
            return f"a {self.device} runs all steps at once"
        return f"on a {self.device} a loop takes less time for fewer than {self.steps} steps"


def find_crossover(cell: str, device: str) -> Crossover:
    """Return the crossover of a cell on a device.

    Args:
        cell: name of the recurrence.
        device: "CPU", "GPU" or "TPU".
    """
    steps = _read_table()[device]["steps"]
    return Crossover(steps.get(cell, steps["other"]), device)


@functools.cache
def _read_table() -> dict:
    return json.loads(TABLE.read_text())
