"""From the published CSV file to the two splits.

The file holds a digit a row, sorted by class: 784 gray values, then the label.
"""

import hashlib
from collections.abc import Iterable

import numpy as np

SIZE = 28
CLASSES = 10
TEST_ONE_IN = 5  # one in so many of each class


def split_digits(lines: Iterable[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Parse the lines and split the digits: in each class the fifth with the smallest md5 of its bytes is test.

    Args:
        lines: of the CSV file, which has no header.

    Returns:
        "train", "test": images uint8 (examples, 28, 28, 1), in the file's order, and labels int64 (examples,).

    Raises:
        ValueError: a row is not 785 whole numbers, or one is out of range.
    """
    rows = np.loadtxt(lines, delimiter=",", ndmin=2, dtype=np.int64)
    if rows.shape[1] != SIZE * SIZE + 1 or rows.min() < 0 or rows.max() > 255 or rows[:, -1].max() >= CLASSES:
        raise ValueError(f"expected rows of 784 gray values and a digit; got an array {rows.shape} up to {rows.max()}")
    pixels, labels = rows[:, :-1].astype(np.uint8), rows[:, -1]
    is_test = np.zeros(len(rows), bool)
    for label in range(CLASSES):
        members = sorted(
            np.flatnonzero(labels == label), key=lambda row: hashlib.md5(pixels[row].tobytes()).hexdigest()
        )
        is_test[members[: len(members) // TEST_ONE_IN]] = True
    images = pixels.reshape(-1, SIZE, SIZE, 1)
    return {name: (images[rows], labels[rows]) for name, rows in (("train", ~is_test), ("test", is_test))}
