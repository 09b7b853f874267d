"""`RowBuffer`: rows of numbers in a temporary file, so that a table of any size is read in bounded memory."""

import tempfile
from collections.abc import Sequence

import numpy as np

ROWS = 1 << 16  # of an array in a file that are in memory at once
_BUFFERED = 1 << 14


class RowBuffer:
    """Rows of numbers, appended one by one.

    Args:
        columns: numbers in a row.
        dtype: of the numbers.

    Attributes:
        smallest, largest: float64 (columns,), of the numbers that are not NaN, before they were cast to `dtype`.
    """

    def __init__(self, columns: int, dtype: str = "float32"):
        self._shape, self._dtype = (columns,), np.dtype(dtype)
        self.smallest, self.largest = np.full(columns, np.inf), np.full(columns, -np.inf)
        self._file = tempfile.TemporaryFile()
        self._rows: list[Sequence[float]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, row: Sequence[float]) -> None:
        """Append a row."""
        self._rows.append(row)
        self._count += 1
        if len(self._rows) == _BUFFERED:
            self._write()

    def finish(self) -> np.ndarray:
        """Return all rows, (rows, columns), mapped from the file, which is removed with the array."""
        self._write()
        self._file.flush()
        return map_rows(self._file, self._count, self._shape[0], self._dtype)

    def _write(self):
        rows = np.array(self._rows).reshape(-1, *self._shape)
        self.smallest = np.fmin.reduce([self.smallest, *rows])
        self.largest = np.fmax.reduce([self.largest, *rows])
        self._file.write(rows.astype(self._dtype).tobytes())
        self._rows.clear()


def make_rows(rows: int, columns: int, dtype: str | np.dtype = "float32") -> np.ndarray:
    """Make an array (rows, columns) of zeros in a temporary file, which is removed with the array."""
    file = tempfile.TemporaryFile()
    file.truncate(rows * columns * np.dtype(dtype).itemsize)
    return map_rows(file, rows, columns, np.dtype(dtype))


def map_rows(file, rows: int, columns: int, dtype: np.dtype) -> np.ndarray:
    """Map the content of a file as an array (rows, columns)."""
    if not rows * columns:
        return np.zeros((rows, columns), dtype)
    return np.memmap(file, dtype, "r+", shape=(rows, columns))
