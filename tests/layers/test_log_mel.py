"""The front end against NumPy's FFT, and what must make no difference to it."""

import numpy as np
import pytest
import tensorflow as tf

from tfpar.layers import LogMelSpectrogram
from tfpar.layers.log_mel import mel_matrix
from tfpar.tasks.speech_recognition import SpectrogramAugmentation


def sound(rows=2, samples=4000, seed=0):
    generator = np.random.default_rng(seed)
    time = np.arange(samples)
    tone = np.sin(2 * np.pi * time * (0.05 + 0.00002 * time))
    return (0.3 * tone + 0.05 * generator.normal(size=(rows, samples))).astype(np.float32)


def oracle(audio, hop, hops_per_frame, bands, range_nepers=12.0, rate_hz=8000):
    """Levelled, and plain: by NumPy's FFT, in float64."""
    window = hop * hops_per_frame
    count = len(audio) // hop - hops_per_frame + 1
    frames = np.stack([audio[n * hop : n * hop + window] for n in range(count)]).astype(np.float64)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(window) + 0.5) / window)
    power = np.abs(np.fft.rfft(frames * hann) * 2 / hann.sum()) ** 2
    heard = power @ mel_matrix(rate_hz, window, bands, 90.0, 3840.0)
    log_power = np.log(heard + 2.0**-40)
    levelled = 1 + np.maximum(log_power - log_power.max(), -range_nepers) / (range_nepers / 2)
    return levelled, np.log(heard + 2.0**-30) / 10 + 1


@pytest.mark.parametrize("hop, hops_per_frame, bands", [(80, 3, 40), (160, 1, 32), (100, 2, 20)])
def test_equals_an_oracle(hop, hops_per_frame, bands):
    audio = sound()
    levelled = LogMelSpectrogram(hop=hop, hops_per_frame=hops_per_frame, bands=bands)
    plain = LogMelSpectrogram(hop=hop, hops_per_frame=hops_per_frame, bands=bands, normalization="none")
    for row, found, found_plain in zip(audio, levelled(audio).numpy(), plain(audio).numpy(), strict=True):
        expected, expected_plain = oracle(row, hop, hops_per_frame, bands)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        np.testing.assert_allclose(found_plain, expected_plain, atol=1e-4)
        assert found.max() == pytest.approx(1) and found.min() >= -1
    assert levelled.compute_output_shape(audio.shape) == levelled(audio).shape


def test_neither_gain_nor_offset_makes_a_difference():
    layer = LogMelSpectrogram()
    np.testing.assert_allclose(layer(0.01 * sound()), layer(sound()), atol=0.01)
    np.testing.assert_allclose(layer(sound() + 0.2), layer(sound()), atol=0.02)


def test_frames_of_a_stream_do_not_see_each_other():
    layer = LogMelSpectrogram(hop=160, hops_per_frame=1, normalization="none")
    frames = sound().reshape(2, 25, 160)
    one_by_one = tf.concat([layer(frames[:, n : n + 1]) for n in range(25)], axis=1)
    np.testing.assert_allclose(one_by_one, layer(frames), atol=1e-5)
    np.testing.assert_allclose(layer(frames), layer(sound()), atol=1e-5)


def test_rounding_beside_a_loud_tone_is_not_heard():
    tone = (0.9 * np.sin(2 * np.pi * 100 / 8000 * np.arange(8000)))[None].astype(np.float32)
    found = LogMelSpectrogram(hop=160, hops_per_frame=1, bands=32, normalization="none")(tone)
    np.testing.assert_allclose(found[0], oracle(tone[0], 160, 1, 32)[1], atol=1e-4)


def test_silence_is_finite():
    assert np.isfinite(LogMelSpectrogram()(np.zeros((1, 800), np.float32))).all()


def test_every_band_hears_something():
    matrix = mel_matrix(8000, 240, 40, 90.0, 3840.0)
    assert (matrix.sum(axis=0) > 0.3).all() and matrix[0].max() == 0


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"hop": 0}, "`hop`"),
        ({"high_hz": 5000.0}, "high_hz <= 4000"),
        ({"normalization": "loud"}, "`normalization`"),
        ({"hop": 15, "hops_per_frame": 3}, "must be even"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        LogMelSpectrogram(**arguments)


def test_config_makes_the_same_layer():
    layer = LogMelSpectrogram(hop=100, bands=20, normalization="none", low_hz=120.0)
    again = LogMelSpectrogram.from_config(layer.get_config())
    np.testing.assert_array_equal(again(sound()), layer(sound()))


def test_distortions_happen_in_training_alone_and_repeat():
    spectrogram = LogMelSpectrogram()(sound(rows=4))
    first, again = SpectrogramAugmentation(seed=3), SpectrogramAugmentation(seed=3)
    np.testing.assert_array_equal(first(spectrogram), spectrogram)
    distorted = first(spectrogram, training=True)
    np.testing.assert_array_equal(again(spectrogram, training=True), distorted)
    assert not np.allclose(first(spectrogram, training=True), distorted)
    assert distorted.shape == spectrogram.shape and np.isfinite(distorted).all()
    assert np.mean(np.asarray(distorted) == -1) > 0.02  # masks


def distorted_by(spectrogram, **one):
    """As in training, by nothing else."""
    names = "frequency_warp frequency_shift time_warp blunting sharpening frequency_mask time_mask".split()
    layer = SpectrogramAugmentation(**{**dict.fromkeys(names, 0.0), **one}, seed=1)
    return layer(spectrogram, training=True).numpy()


def ridge():
    """Make a tone in band 20."""
    return np.eye(40, dtype=np.float32)[np.full((64, 10), 20)]


def test_no_distortion_of_size_zero():
    spectrogram = LogMelSpectrogram()(sound())
    np.testing.assert_allclose(distorted_by(spectrogram), spectrogram, atol=1e-5)


def test_a_longer_vocal_tract_moves_a_tone_to_lower_bands():
    warped = distorted_by(ridge(), frequency_warp=0.2)
    places = warped[:, 5].argmax(axis=1)
    assert places.min() <= 18 and places.max() >= 22


@pytest.mark.parametrize("name", ["blunting", "sharpening"])
def test_a_blunted_formant_is_lower_and_a_sharpened_one_higher(name):
    peaks = distorted_by(ridge(), **{name: 0.5})[:, 5].max(axis=1)
    lowest, highest = (0.5, 1.0) if name == "blunting" else (1.0, 1.5)
    assert lowest < peaks.min() and peaks.max() < highest and np.ptp(peaks) > 0.3
    flat = np.ones((64, 10, 40), np.float32)
    np.testing.assert_allclose(distorted_by(flat, **{name: 0.5}), flat, atol=1e-5)
