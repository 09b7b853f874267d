"""Affine quantization of a file's inputs and outputs."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Quantization:
    """Affine quantization of one tensor: real = scale * (stored - zero_point); scale 0 means not quantized.

    Attributes:
        dtype: of the stored values.
        scale, zero_point: of the whole tensor.

    Example:

    >>> halves = Quantization(np.dtype("int8"), 0.5, -10)
    >>> halves.quantize(np.array([0.0, 1.0, 1e9])), halves.dequantize(np.array([-8], np.int8))
    (array([-10,  -8, 127], dtype=int8), array([1.], dtype=float32))
    """

    dtype: np.dtype
    scale: float
    zero_point: int

    @property
    def is_quantized(self) -> bool:
        """Whether stored values differ from real ones."""
        return self.scale != 0 and np.issubdtype(self.dtype, np.integer)

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Round real numbers to the nearest stored values; integers are returned as they are."""
        values = np.asarray(values)
        if not (self.is_quantized and np.issubdtype(values.dtype, np.floating)):
            return values
        limits = np.iinfo(self.dtype)
        steps = np.round(values / np.float32(self.scale)) + self.zero_point
        return np.clip(steps, limits.min, limits.max).astype(self.dtype)

    def dequantize(self, values: np.ndarray) -> np.ndarray:
        """Convert stored values to float32; values of a tensor that is not quantized are returned as they are."""
        if not self.is_quantized:
            return values
        return (values.astype(np.float32) - self.zero_point) * np.float32(self.scale)
