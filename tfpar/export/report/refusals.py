"""What is reported of each file of an export: those that were written, and those that were refused."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from tfpar.errors import UserError

SIGNIFICANCE = 0.05  # of the paired exact test


def write_or_refuse(name: str, write: Callable[[], dict], path: Path) -> dict:
    """Write one file of an export; a refusal concerns this file alone.

    Args:
        name: of the format.
        write: writes the file, and returns its report.
        path: of the file; what stands there after a refusal is removed.

    Returns:
        The report, or {"format", "refused": the reason, and the figures of what was measured}.
    """
    print(f"exporting {name} ...", file=sys.stderr)
    try:
        return write()
    except UserError as error:
        path.unlink(missing_ok=True)
        print(f"refused: {error}", file=sys.stderr)
        return {"format": name, "refused": str(error), **getattr(error, "figures", {})}


def is_refused(report: dict) -> bool:
    """Whether the report is of a file that was not written."""
    return "refused" in report


def resolve_paths(directory: Path | str, reports: list[dict]) -> list[dict]:
    """Make the paths of reports those of files in a directory."""
    return [
        {**report, "path": str(Path(directory) / report["path"])} if "path" in report else report for report in reports
    ]


def save_weights_if_refused(models: dict[str, keras.Model], directory: Path, reports: list[dict]) -> dict:
    """Save Keras models beside the files if one of them was refused, and no SavedModel holds the weights.

    Args:
        models: by the names of their files.
        directory: of the export.
        reports: of all files.

    Returns:
        {"keras_files": names}, or nothing.
    """
    if not any(map(is_refused, reports)) or any(r["format"] == "saved_model" and not is_refused(r) for r in reports):
        return {}
    return {"keras_files": [_save(model, directory, name) for name, model in models.items()]}


def _save(model, directory, name) -> str:
    """Save a whole model, or its weights alone where a layer of the user's cannot be saved."""
    try:
        model.save(directory / f"{name}.keras")
        return f"{name}.keras"
    except Exception:  # whatever the user's layers raise
        (directory / f"{name}.keras").unlink(missing_ok=True)
        model.save_weights(directory / f"{name}.weights.h5")
        return f"{name}.weights.h5"


def note_larger_files(reports: list[dict]) -> None:
    """Add a note to 8-bit files that are larger than the float32 file, with the smallest file that was written."""
    written = {report["format"]: report for report in reports if "bytes" in report}
    files = {name: report["bytes"] for name, report in written.items() if name != "saved_model"}
    for name, size in files.items():
        if size > files.get("float32", math.inf):
            smallest = min(files, key=files.get)
            written[name]["note"] = (
                f"larger than the float32 file ({files['float32']:,} bytes): {smallest} has {files[smallest]:,} bytes"
            )


def describe_row(report: dict, columns: int) -> str:
    """Format the row of a table on a card for a file that was refused.

    Args:
        report: the file's.
        columns: of the table, the format and the reason among them.
    """
    reason = " ".join(report["refused"].replace("|", "\\|").split())
    return f"| {report['format']} | not written: {reason} |" + " |" * (columns - 2)


def describe_notes(reports: list[dict]) -> str:
    """Format the notes on files for a card, each as a paragraph."""
    return "".join(f"\n{report['format']}: {report['note']}.\n" for report in reports if "note" in report)


def loss_by_chance(before: np.ndarray, after: np.ndarray) -> float:
    """Test whether a file is worse than the model by more than chance, on the examples that flipped.

    The exact one-sided McNemar test: of the examples that only one of both gets right, each is as likely to be lost as
    to be won if the file is as good.

    Args:
        before: bool (examples,), which the model gets right.
        after: bool (examples,), which the file gets right.

    Returns:
        The probability of so many losses, or more, if the file is as good.

    >>> loss_by_chance(np.array([True, True, True, False]), np.array([False, False, False, False]))
    0.125
    """
    lost, won = int(np.sum(before & ~after)), int(np.sum(after & ~before))
    flipped = lost + won
    return sum(math.comb(flipped, k) for k in range(lost, flipped + 1)) / 2**flipped
