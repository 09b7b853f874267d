"""How a file's 8-bit inputs and outputs stand for real numbers."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Quantization:
    """real = scale * (stored - zero_point); a scale of 0 is that of a tensor which is not quantised.

    Attributes:
        dtype: of the stored values.
        scale, zero_point: of the whole tensor.

    Example:

    >>> halves = Quantization(np.dtype("int8"), 0.5, -10)
    >>> halves.stored(np.array([0.0, 1.0, 1e9])), halves.real(np.array([-8], np.int8))
    (array([-10,  -8, 127], dtype=int8), array([1.], dtype=float32))
    """

    dtype: np.dtype
    scale: float
    zero_point: int

    @property
    def is_quantized(self) -> bool:
        """Whether stored values differ from real ones."""
        return self.scale != 0 and np.issubdtype(self.dtype, np.integer)

    def stored(self, values: np.ndarray) -> np.ndarray:
        """What to store for real numbers, the nearest that there is; integers are taken to be stored values already."""
        values = np.asarray(values)
        if not (self.is_quantized and np.issubdtype(values.dtype, np.floating)):
            return values
        limits = np.iinfo(self.dtype)
        steps = np.round(values / np.float32(self.scale)) + self.zero_point
        return np.clip(steps, limits.min, limits.max).astype(self.dtype)

    def real(self, values: np.ndarray) -> np.ndarray:
        """The real numbers, float32, of stored values; values that are not quantised stay as they are."""
        if not self.is_quantized:
            return values
        return (values.astype(np.float32) - self.zero_point) * np.float32(self.scale)
