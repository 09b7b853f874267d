"""Reports of the files of an export, written or refused."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from tfpar.errors import UserError

SIGNIFICANCE = 0.05  # of the paired exact test


def write_or_refuse(name: str, write: Callable[[], dict], path: Path) -> dict:
    """Write one file of an export, or report why it was refused; other files are not affected.

    Args:
        name: of the format.
        write: function that writes the file and returns its report.
        path: of the file, which is removed after a refusal.

    Returns:
        The report, or {"format", "refused": the reason, and the measured figures}.
    """
    print(f"exporting {name} ...", file=sys.stderr)
    try:
        return write()
    except UserError as error:
        path.unlink(missing_ok=True)
        print(f"refused: {error}", file=sys.stderr)
        return {"format": name, "refused": str(error), **getattr(error, "figures", {})}


def is_refused(report: dict) -> bool:
    """Whether a report describes a file that was refused."""
    return "refused" in report


def resolve_paths(directory: Path | str, reports: list[dict]) -> list[dict]:
    """Prepend a directory to the paths in reports."""
    return [
        {**report, "path": str(Path(directory) / report["path"])} if "path" in report else report for report in reports
    ]


def save_weights_if_refused(models: dict[str, keras.Model], directory: Path, reports: list[dict]) -> dict:
    """Save Keras models in an export if a file was refused and no SavedModel contains the weights.

    Args:
        models: by the names of their files.
        directory: of the export.
        reports: of all files.

    Returns:
        {"keras_files": names}, or {}.
    """
    if not any(map(is_refused, reports)) or any(r["format"] == "saved_model" and not is_refused(r) for r in reports):
        return {}
    return {"keras_files": [_save(model, directory, name) for name, model in models.items()]}


def _save(model, directory, name) -> str:
    """Save a whole model, or only its weights if a custom layer cannot be saved."""
    try:
        model.save(directory / f"{name}.keras")
        return f"{name}.keras"
    except Exception:  # custom layers may raise any error
        (directory / f"{name}.keras").unlink(missing_ok=True)
        model.save_weights(directory / f"{name}.weights.h5")
        return f"{name}.weights.h5"


def note_larger_files(reports: list[dict]) -> None:
    """Add a note to files that are larger than the float32 file; it names the smallest file."""
    written = {report["format"]: report for report in reports if "bytes" in report}
    files = {name: report["bytes"] for name, report in written.items() if name != "saved_model"}
    for name, size in files.items():
        if size > files.get("float32", math.inf):
            smallest = min(files, key=files.__getitem__)
            written[name]["note"] = (
                f"larger than the float32 file ({files['float32']:,} bytes): {smallest} has {files[smallest]:,} bytes"
            )


def describe_row(report: dict, columns: int) -> str:
    """Format the row of a refused file in a table on a card.

    Args:
        report: of the file.
        columns: number of columns of the table, including those of the format and the reason.
    """
    reason = " ".join(report["refused"].replace("|", "\\|").split())
    return f"| {report['format']} | not written: {reason} |" + " |" * (columns - 2)


def describe_notes(reports: list[dict]) -> str:
    """Format the notes on files for a card, one paragraph each."""
    return "".join(f"\n{report['format']}: {report['note']}.\n" for report in reports if "note" in report)


def loss_by_chance(before: np.ndarray, after: np.ndarray) -> float:
    """Compute the p-value of the exact one-sided McNemar test of whether a file is worse than the model.

    Under the null hypothesis an example that only one of both classifies correctly is equally likely to be lost or won.

    Args:
        before: bool (examples,), whether the model is correct.
        after: bool (examples,), whether the file is correct.

    Returns:
        The probability of as many losses, or more, under the null hypothesis.

    >>> loss_by_chance(np.array([True, True, True, False]), np.array([False, False, False, False]))
    0.125
    """
    lost, won = int(np.sum(before & ~after)), int(np.sum(after & ~before))
    flipped = lost + won
    return sum(math.comb(flipped, k) for k in range(lost, flipped + 1)) / 2**flipped
