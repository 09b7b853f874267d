"""Gabor wavelets against their equation, summed up point by point, and what must make no difference to them."""

import keras
import numpy as np
import pytest

from tfpar.tasks.face_recognition import GaborMagnitudes
from tfpar.tasks.face_recognition.gabor import gabor_wavelets

IMAGES = np.random.default_rng(0).random((2, 32, 40, 1), np.float32)


def waves(height=32, width=40, wavelength=4.0, angle=0.0, phase=0.0):
    y, x = np.mgrid[:height, :width]
    along = x * np.cos(angle) + y * np.sin(angle)
    return np.cos(2 * np.pi * along / wavelength + phase)[None, :, :, None].astype(np.float32)


def oracle(image, wavelength, angle, cell):
    """Float64, (height // cell, width // cell): one wavelet, one octave."""
    deviation = 0.56 * wavelength
    radius = int(np.ceil(2.5 * deviation))
    padded = np.pad(image.astype(np.float64), radius, mode="symmetric")
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    envelope = np.exp(-(x**2 + y**2) / (2 * deviation**2))
    envelope /= envelope.sum()
    wave = np.exp(2j * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / wavelength)
    wavelet = envelope * (wave - (envelope * wave).sum())
    windows = np.lib.stride_tricks.sliding_window_view(padded, wavelet.shape)
    answers = np.einsum("hwij,ij->hw", windows, wavelet)
    magnitudes = np.abs(answers.real) + np.abs(answers.imag)
    height, width = (size // cell for size in image.shape)
    cells = magnitudes[: height * cell, : width * cell].reshape(height, cell, width, cell)
    return np.sqrt(cells.mean(axis=(1, 3)))


def test_equals_an_oracle():
    found = GaborMagnitudes(wavelengths=(4.0, 5.0), orientations=3, octaves=2)(IMAGES).numpy()
    half = IMAGES[..., 0].reshape(2, 16, 2, 20, 2).mean(axis=(2, 4))
    for row, image, smaller in zip(found, IMAGES[..., 0], half, strict=True):
        expected = [
            oracle(seen, wavelength, np.pi * number / 3, cell)
            for seen, cell in ((image, 8), (smaller, 4))
            for wavelength in (4.0, 5.0)
            for number in range(3)
        ]
        np.testing.assert_allclose(row, np.stack(expected, axis=-1), rtol=1e-3, atol=1e-4)


def test_each_direction_has_its_filter():
    layer = GaborMagnitudes(wavelengths=(4.0,), octaves=1, orientations=4)
    for number in range(4):
        inside = layer(waves(angle=np.pi * number / 4)).numpy()[0, 1:-1, 1:-1]
        assert (inside.argmax(axis=-1) == number).all()


def test_a_phase_changes_little_and_a_constant_nothing():
    layer = GaborMagnitudes()
    one, moved = (layer(waves(wavelength=4.7, phase=phase)).numpy()[:, 1:-1, 1:-1] for phase in (0.0, 1.0))
    np.testing.assert_allclose(moved, one, atol=0.05 * one.max())
    np.testing.assert_allclose(layer(IMAGES + 0.5), layer(IMAGES), atol=1e-4)


def test_colors_are_averaged_and_the_rest_is_dropped():
    colors = np.random.default_rng(1).random((2, 35, 45, 3), np.float32)
    layer = GaborMagnitudes()
    assert layer(colors).shape == layer.compute_output_shape(colors.shape) == (2, 4, 5, 32)
    np.testing.assert_allclose(layer(colors), layer(colors.mean(axis=-1, keepdims=True)), atol=1e-5)


def test_it_is_saved():
    layer = GaborMagnitudes(wavelengths=(6.0,), octaves=3, orientations=2, cell=4)
    assert keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer)).get_config() == (
        layer.get_config()
    )


def test_wavelets_add_up_to_nothing():
    wavelets = gabor_wavelets(5.0, 8)
    assert wavelets.shape == (17, 17, 1, 16) and wavelets.dtype == np.float32
    np.testing.assert_allclose(wavelets.sum(axis=(0, 1)), 0, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (dict(wavelengths=()), "wavelengths"),
        (dict(wavelengths=(1.5,)), "two pixels or more"),
        (dict(octaves=0), "octaves=0"),
        (dict(octaves=3, cell=6), "multiple of 4"),
    ],
)
def test_what_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        GaborMagnitudes(**arguments)


def test_an_image_smaller_than_a_wavelet_is_refused():
    with pytest.raises(ValueError, match="12 x 12 pixels are too small.*at least 16"):
        GaborMagnitudes()(np.zeros((1, 12, 12, 1), np.float32))
