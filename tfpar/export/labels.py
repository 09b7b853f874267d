"""`labels.txt`, the names of an export's classes, and answers by it; no TensorFlow."""

from pathlib import Path

import numpy as np

from tfpar.errors import UserError
from tfpar.export.bundle import Bundle

_NAME = "labels.txt"


def write_labels(directory: Path, class_names: tuple[str, ...]) -> None:
    """Writes the names, a class a line."""
    (directory / _NAME).write_text("\n".join(class_names) + "\n", encoding="utf-8")


def read_labels(bundle: Bundle, classes: int) -> list[str]:
    """Read the names of the classes.

    Args:
        bundle: the export.
        classes: how many the model has; -1: unknown.

    Raises:
        UserError: the file is missing, was changed, or has another number of names.
    """
    labels = bundle.read(_NAME).decode("utf-8").removesuffix("\n").split("\n")
    if classes > 0 and len(labels) != classes:
        path = bundle.directory / _NAME
        raise UserError(f"{path} must name the {classes} classes of the model; got {len(labels)} names")
    return labels


def by_label(labels: list[str], probabilities: np.ndarray) -> dict:
    """{"label": the most probable class, "probabilities": float (classes,) by label}."""
    return {
        "label": labels[int(np.argmax(probabilities))],
        "probabilities": {name: float(p) for name, p in zip(labels, probabilities, strict=True)},
    }
