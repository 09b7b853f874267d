"""Gabor wavelets: how strong edges and lines of each direction and width are, and where. Nothing in it is trained."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from tfpar.checks import check_positive_integer

_DEVIATIONS_PER_WAVELENGTH = 0.56  # of the envelope: a bandwidth of one octave
_RADIUS_IN_DEVIATIONS = 2.5


@keras.saving.register_keras_serializable(package="tfpar")
class GaborMagnitudes(keras.layers.Layer):
    """Square roots of the magnitudes of complex Gabor wavelets, averaged over the cells of a grid.

    Each octave sees the image at half the resolution of the one before, by the same wavelets. A magnitude is the sum of
    the response of a wavelet's real and imaginary part without sign, which changes little where the image is shifted
    by less than a cell. A constant added to the image makes no difference.

    Args:
        wavelengths: in pixels, of the first octave.
        octaves: how many.
        orientations: directions of the waves, evenly over half a circle.
        cell: pixels of a cell's side, a multiple of 2 ** (octaves - 1). What is left over at the right and the bottom
            is dropped.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        images: float (batch, height, width, channels); channels are averaged.

    Returns:
        float (batch, height // cell, width // cell, octaves * wavelengths * orientations).

    Raises:
        ValueError: an argument is out of range; the image is smaller than a wavelet.

    References:
        Lades et al. 1993, Distortion invariant object recognition in the dynamic link architecture.
    """

    def __init__(
        self,
        wavelengths: Sequence[float] = (4.0, 4 * 2**0.5),
        octaves: float = 2,
        orientations: int = 8,
        cell: int = 8,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.wavelengths = tuple(wavelengths)
        for name, value in (("octaves", octaves), ("orientations", orientations), ("cell", cell)):
            setattr(self, name, check_positive_integer(name, value))
        if not self.wavelengths or min(self.wavelengths) < 2:
            raise ValueError(f"`wavelengths` must be of two pixels or more; got {wavelengths}")
        if cell % 2 ** (octaves - 1):
            raise ValueError(f"`cell` must be a multiple of {2 ** (octaves - 1)} for {octaves} octaves; got {cell}")
        self._wavelets = [gabor_wavelets(wavelength, orientations) for wavelength in self.wavelengths]

    def build(self, input_shape: tuple[Any, ...]) -> None:
        largest, smallest = max(len(w) // 2 for w in self._wavelets), min(input_shape[1:3]) // 2 ** (self.octaves - 1)
        if smallest < largest:
            raise ValueError(
                f"images of {input_shape[1]} x {input_shape[2]} pixels are too small for `wavelengths` of "
                f"{max(self.wavelengths):g} pixels in {self.octaves} octaves: at least "
                f"{largest * 2 ** (self.octaves - 1)} in height and width are needed"
            )
        self.built = True

    def call(self, images: Any) -> Any:
        image, magnitudes = ops.mean(images, axis=-1, keepdims=True), []
        height, width, _ = self.compute_output_shape(images.shape)[1:]
        for octave in range(self.octaves):
            if octave:
                image = ops.average_pool(image, 2, 2)
            cells = [self._cells(image, wavelets, self.cell // 2**octave) for wavelets in self._wavelets]
            magnitudes += [magnitude[:, :height, :width] for magnitude in cells]
        return ops.sqrt(ops.concatenate(magnitudes, axis=-1) + keras.config.epsilon())

    def _cells(self, image, wavelets, cell):
        radius = len(wavelets) // 2
        # Beyond its edge the image goes on as its mirror image: no edge is seen there.
        padded = ops.pad(image, [[0, 0], [radius, radius], [radius, radius], [0, 0]], mode="symmetric")
        components = ops.abs(ops.conv(padded, ops.cast(wavelets, image.dtype), padding="valid"))
        real, imaginary = ops.split(ops.average_pool(components, cell, cell), 2, axis=-1)
        return real + imaginary

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        filters = self.octaves * len(self.wavelengths) * self.orientations
        return shape[0], shape[1] // self.cell, shape[2] // self.cell, filters

    def get_config(self) -> dict[str, Any]:
        names = ("wavelengths", "octaves", "orientations", "cell")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def gabor_wavelets(wavelength: float, orientations: int) -> np.ndarray:
    """Return plane waves under a Gaussian, without their response to a constant image.

    Returns:
        float32 (side, side, 1, 2 * orientations): real parts, then imaginary parts; the Gaussian adds up to 1.
    """
    deviation = _DEVIATIONS_PER_WAVELENGTH * wavelength
    radius = int(np.ceil(_RADIUS_IN_DEVIATIONS * deviation))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1][..., None]
    envelope = np.exp(-(x**2 + y**2) / (2 * deviation**2))
    envelope = envelope / envelope.sum()
    angle = np.pi * np.arange(orientations) / orientations
    wave = np.exp(2j * np.pi / wavelength * (x * np.cos(angle) + y * np.sin(angle)))
    wavelets = envelope * (wave - (envelope * wave).sum(axis=(0, 1)))
    return np.concatenate([wavelets.real, wavelets.imag], axis=-1)[:, :, None].astype(np.float32)
