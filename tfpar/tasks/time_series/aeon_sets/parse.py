"""Reads the files of a set in the package aeon, in NumPy alone."""

import csv
import io
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfpar.tasks.time_series.ts_files import read_ts


def read_labeled(archive: Path, name: str, split: str) -> Iterator[dict]:
    """Yield {"series", "label"} of NAME_TRAIN.ts or NAME_TEST.ts in a zip file."""
    with tempfile.TemporaryDirectory() as directory, zipfile.ZipFile(archive) as files:
        path = Path(files.extract(f"{name}_{split.upper()}.ts", directory))
        for series, label in read_ts(path):
            yield {"series": series, "label": label}


def read_series(archive: Path, members: tuple[str, ...], columns: tuple[str, ...], time: str, label: str = "") -> dict:
    """Read csv files in a zip file, one after the other, as one series.

    Returns:
        {"time", "values" (steps, columns), "is_anomaly" (steps,); -1: no label}. Without a column `time` times are the
        numbers of the rows.
    """
    rows: list[dict[str, str]] = []
    with zipfile.ZipFile(archive) as files:
        for member in members:
            with files.open(member) as file:
                rows += csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline=""))
    return {
        "time": [row[time] if time else str(number) for number, row in enumerate(rows)],
        "values": np.array([[row[column] for column in columns] for row in rows], np.float32),
        "is_anomaly": np.array([round(float(row[label])) if label else -1 for row in rows], np.int64),
    }
