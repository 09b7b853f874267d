"""Reads and writes `labels.txt`, the names of an export's classes, without TensorFlow."""

import json
from pathlib import Path

import numpy as np

from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle

_NAME = "labels.txt"


def write_labels(directory: Path, class_names: tuple[str, ...]) -> None:
    """Write the names, one per line; `parse_labels` reads them."""
    (directory / _NAME).write_bytes("".join(f"{_format_line(name)}\n" for name in class_names).encode("utf-8"))


def read_labels(bundle: Bundle, classes: int) -> list[str]:
    """Read the names of the classes.

    Args:
        bundle: the export.
        classes: the number of the model's classes; -1: unknown.

    Raises:
        UserError: the file is missing, was changed, or has another number of names.
    """
    labels = parse_labels(bundle.read(_NAME))
    if classes > 0 and len(labels) != classes:
        path = bundle.directory / _NAME
        raise UserError(f"{path} must name the {classes} classes of the model; got {len(labels)} names")
    return labels


def parse_labels(content: bytes) -> list[str]:
    """Parse the content of `labels.txt`; raise UserError if `write_labels` cannot have written it."""
    try:
        lines = content.decode("utf-8").removesuffix("\n").split("\n")
        names = [json.loads(line) if line.startswith('"') else line for line in lines]
    except ValueError as error:
        raise UserError(f"{_NAME} is damaged: {error}; get the export again from where it was made") from error
    if len(set(names)) < len(names):
        raise UserError(f"{_NAME} has {len(names)} classes, some with the same name. Give each its own name")
    return names


def _format_line(name: str) -> str:
    """Return a name unchanged or, if readers could take it for several lines, as a JSON string, in quotes."""
    return json.dumps(name) if name.splitlines() != [name] or name.startswith('"') else name


def label_probabilities(labels: list[str], probabilities: np.ndarray) -> dict:
    """Name the classes of a prediction.

    Args:
        labels: of the classes.
        probabilities: float (classes,).

    Returns:
        {"label": the most probable class, "probabilities": by label}.

    Raises:
        UserError: the number of labels differs from the number of classes.
    """
    if len(labels) != len(probabilities):
        raise UserError(
            f"{_NAME} names {len(labels)} classes, and the model has {len(probabilities)}; get the export again from "
            "where it was made"
        )
    return {
        "label": labels[int(np.argmax(probabilities))],
        "probabilities": {name: float(p) for name, p in zip(labels, probabilities, strict=True)},
    }
