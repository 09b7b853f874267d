"""Converts arrays to an input of a TFLite signature."""

import dataclasses

import numpy as np

from tfpar.errors import UserError


@dataclasses.dataclass(frozen=True)
class InputRows:
    """An input of a signature.

    Attributes:
        name: of the input.
        shape: of the signature, the batch first; -1: any size.
        dtype: of the signature.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def has_time(self) -> bool:
        """Whether a row is a sequence: (time, features), or (time,) of integers; a vector of floats has features."""
        return len(self.shape) == 3 or (len(self.shape) == 2 and self.dtype.kind in "iu")

    @property
    def row_shape(self) -> tuple[int | None, ...]:
        """Of a row, before it is padded; None: any size."""
        sizes = [None if size == -1 else size for size in self.shape[1:]]
        return (None, *sizes[1:]) if self.has_time else tuple(sizes)

    def fit(self, array: np.ndarray) -> np.ndarray:
        """Convert an array to a batch of rows.

        Args:
            array: one row, or rows (rows, ...). Sequences may be shorter than the signature's.

        Returns:
            (rows, *shape[1:]) of `dtype`, padded with zeros at the right of the time axis.

        Raises:
            UserError: the shape or dtype does not fit, there is no row, or `dtype` cannot represent a value.
        """
        rows = array[None] if array.ndim == len(self.shape) - 1 else array
        sizes = zip(self.row_shape, rows.shape[1:], strict=False)
        if rows.ndim != len(self.shape) or not rows.size or any(want not in (None, have) for want, have in sizes):
            raise self._error(f"got the shape {array.shape}")
        if array.dtype.kind not in ("fiub" if self.dtype.kind == "f" else "iub"):
            raise self._error(f"got {array.dtype}")
        return self._pad(self._cast(rows))

    def _cast(self, rows):
        with np.errstate(over="ignore"):
            cast = rows.astype(self.dtype)
        is_exact = np.isfinite(cast).all() if self.dtype.kind == "f" else np.array_equal(cast, rows)
        if not is_exact:
            raise self._error("got values that it cannot represent")
        return cast

    def _pad(self, rows):
        if not self.has_time or self.shape[1] == -1:
            return rows
        missing = self.shape[1] - rows.shape[1]
        if missing < 0:
            raise self._error(f"got {rows.shape[1]} time steps")
        return np.pad(rows, [(0, 0), (0, missing), *[(0, 0)] * (rows.ndim - 2)])

    def _error(self, got):
        row = ", ".join("any" if size == -1 else str(size) for size in self.shape[1:])
        shorter = ", the first of which may be smaller" if self.has_time and self.shape[1] != -1 else ""
        return UserError(
            f"the input {self.name!r} takes finite {self.dtype}, one row of sizes ({row}){shorter}, or several rows; "
            f"{got}"
        )
