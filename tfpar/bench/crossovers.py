"""Measures the table of `tfpar.layers.recurrent.crossovers` for the device that this machine has."""

import json
import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

from tfpar.bench.machine import describe_machine
from tfpar.bench.scan import ScanCase
from tfpar.errors import UserError
from tfpar.files import written_atomically

PARALLEL = {  # the evaluation that is compared with "sequential"
    "min_gru": "scan",
    "min_lstm": "scan",
    "rg_lru": "scan",
    "para_gru": "newton",
    "para_lstm": "newton",
    "gru": "newton",
    "lstm": "newton",
}
LENGTHS = (64, 256, 1024, 4096)
BATCH, UNITS = 8, 64


def measure_crossovers(time_cases: Callable[[list[str]], dict[str, list[dict]]], text: str = "") -> Iterator[dict]:
    """Measure the entry of this machine's device, cell by cell.

    Args:
        time_cases: maps names of cases to results of several rounds, each {"seconds"} or {"refused"}.
        text: only cells whose names contain it are measured.

    Yields:
        After each cell, an entry of the table for the cells so far, with "machine" and, by cell, the median "seconds"
        of [loop, parallel] by length.

    Raises:
        UserError: no cell's name contains the text, or a layer differs from its equations.
    """
    cells = [cell for cell in PARALLEL if text in cell]
    if not cells:
        raise UserError(f"--cases must be contained in one of {', '.join(PARALLEL)}; got {text!r}")
    seconds: dict[str, dict[str, list[float]]] = {}
    for cell in cells:
        seconds[cell] = {}
        for time in LENGTHS:
            cases = [str(ScanCase(cell, way, BATCH, time, UNITS)) for way in ("sequential", PARALLEL[cell])]
            runs = time_cases(cases)
            for case in cases:
                if refusals := [run["refused"] for run in runs[case] if "refused" in run]:
                    raise UserError(f"{case} cannot be timed, since {refusals[0]}")
            seconds[cell][str(time)] = [statistics.median(run["seconds"] for run in runs[case]) for case in cases]
        yield {
            "origin": f"tfpar bench scan: training steps under XLA, batch {BATCH}, {UNITS} units",
            "machine": describe_machine(),
            "steps": {cell: first_faster(of_cell) for cell, of_cell in seconds.items()},
            "seconds": seconds,
        }


def first_faster(seconds: dict[str, list[float]]) -> int | None:
    """Return the length from which the parallel evaluation is faster at all lengths, or None.

    >>> first_faster({"64": [1.0, 2.0], "256": [3.0, 2.0], "1024": [9.0, 2.0]})
    256
    >>> first_faster({"64": [1.0, 0.5], "256": [1.0, 2.0]})
    """
    found = None
    for time, (loop, parallel) in sorted(seconds.items(), key=lambda item: -int(item[0])):
        if parallel >= loop:
            break
        found = int(time)
    return found


def store_crossovers(entry: dict, path: Path) -> dict:
    """Put an entry into a table, and write it.

    Cells that were not measured, and other devices, are those of the file; if there is no file they have the steps of
    the package's table, without the seconds of the machine that those were measured on.

    Returns:
        The table.

    Raises:
        UserError: the file exists, but is no table.
    """
    from tfpar.layers.recurrent import placement  # TensorFlow

    table = read_crossovers(path)
    device = placement.device_type()
    before = table[device]
    seconds = before.get("seconds", {}) if path.exists() else {}
    table[device] = {
        **entry,
        "steps": {**before["steps"], **entry["steps"]},
        "seconds": {**seconds, **entry["seconds"]},
    }
    with written_atomically(path) as temporary:
        temporary.write_text(json.dumps(table, indent=2) + "\n")
    return table


def read_crossovers(path: Path) -> dict:
    """Read a table, or that of the package if there is no file.

    Raises:
        UserError: the file is no table, or cannot be read.
    """
    from tfpar.layers.recurrent.crossovers import TABLE  # TensorFlow

    try:
        table = json.loads((path if path.exists() else TABLE).read_text())
        if all("other" in table[device]["steps"] for device in ("CPU", "GPU", "TPU")):
            return table
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} cannot be read as a table of crossovers: {error!r}") from error
    raise UserError(f"{path} is no table of crossovers; name a new file")
