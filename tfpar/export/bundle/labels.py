"""`labels.txt`, the names of an export's classes, and answers by it; no TensorFlow."""

import json
from pathlib import Path

import numpy as np

from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle

_NAME = "labels.txt"


def write_labels(directory: Path, class_names: tuple[str, ...]) -> None:
    """Write the names, a class a line; `parse_labels` reads them."""
    (directory / _NAME).write_bytes("".join(f"{_line(name)}\n" for name in class_names).encode("utf-8"))


def read_labels(bundle: Bundle, classes: int) -> list[str]:
    """Read the names of the classes.

    Args:
        bundle: the export.
        classes: how many the model has; -1: unknown.

    Raises:
        UserError: the file is missing, was changed, or has another number of names.
    """
    labels = parse_labels(bundle.read(_NAME))
    if classes > 0 and len(labels) != classes:
        path = bundle.directory / _NAME
        raise UserError(f"{path} must name the {classes} classes of the model; got {len(labels)} names")
    return labels


def parse_labels(content: bytes) -> list[str]:
    """The names in what `write_labels` wrote; raises UserError if it is not that."""
    try:
        lines = content.decode("utf-8").removesuffix("\n").split("\n")
        names = [json.loads(line) if line.startswith('"') else line for line in lines]
    except ValueError as error:
        raise UserError(f"{_NAME} is damaged: {error}; get the export again from where it was made") from error
    if len(set(names)) < len(names):
        raise UserError(f"{_NAME} has {len(names)} classes, of which some have the same name; name each of its own")
    return names


def _line(name: str) -> str:
    """A name as it is or, if it is not one line to every reader, as a JSON string, which begins with a quote."""
    return json.dumps(name) if name.splitlines() != [name] or name.startswith('"') else name


def label_probabilities(labels: list[str], probabilities: np.ndarray) -> dict:
    """{"label": the most probable class, "probabilities": float (classes,) by label}.

    Raises:
        UserError: there are not as many labels as classes.
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
