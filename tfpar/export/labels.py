"""`labels.txt`, the names of an export's classes, and answers by it; no TensorFlow."""

from pathlib import Path

import numpy as np

from tfpar.export.bundle import Bundle

_NAME = "labels.txt"


def write_labels(directory: Path, class_names: tuple[str, ...]) -> None:
    """Writes the names, a class a line."""
    (directory / _NAME).write_text("\n".join(class_names) + "\n", encoding="utf-8")


def read_labels(bundle: Bundle) -> list[str]:
    """The names by class; raises UserError if the file is missing or was changed."""
    return bundle.read(_NAME).decode("utf-8").splitlines()


def by_label(labels: list[str], probabilities: np.ndarray) -> dict:
    """{"label": the most probable class, "probabilities": float (classes,) by label}."""
    return {
        "label": labels[int(np.argmax(probabilities))],
        "probabilities": {name: float(p) for name, p in zip(labels, probabilities, strict=True)},
    }
