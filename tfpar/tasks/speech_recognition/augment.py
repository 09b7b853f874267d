"""Distortions of batches of speech, most of them in one pair of Fourier transforms.

A step is a function (audio float32 (batch, samples), seed int32 (2,)) -> audio. What it draws depends on the seed
alone. `augment_batches` applies steps to a dataset.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfpar.tasks.speech_recognition.clips import SPEEDS

# Between so many frequencies, evenly spaced, filters are straight lines.
_INTERVALS = 125

Step = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def augment_batches(dataset: tf.data.Dataset, steps: Sequence[Step], seed: int) -> tf.data.Dataset:
    """Distort the batches of a dataset.

    Args:
        dataset: of (number, audio, *others); the number, an integer, tells batches apart, those of several epochs too.
        steps: applied one after the other.
        seed: equal seeds make equal batches.

    Returns:
        A dataset of (audio, *others).
    """

    def distort(number, audio, *others):
        for position, step in enumerate(steps):
            audio = step(audio, tf.stack([tf.cast(seed + 1_000_003 * position, tf.int32), tf.cast(number, tf.int32)]))
        return (audio, *others)

    return dataset.map(distort, num_parallel_calls=2, deterministic=True)


def draw_uniform(seed: tf.Tensor, shape: Any, low: float = 0.0, high: float = 1.0) -> tf.Tensor:
    """Return uniform random numbers in [low, high): float32 of `shape`."""
    return tf.random.stateless_uniform(shape, seed, low, high)


def split_seed(seed: tf.Tensor, count: int) -> list[tf.Tensor]:
    """Split a seed into `count` seeds (2,)."""
    return tf.unstack(tf.random.experimental.stateless_split(seed, count))


def choose_rows(seed: tf.Tensor, audio: tf.Tensor, fraction: float) -> tf.Tensor:
    """Return bool (batch, 1), True for a random fraction of rows."""
    return draw_uniform(seed, (tf.shape(audio)[0], 1)) < fraction


def position_clips(
    audio: tf.Tensor, lengths: tf.Tensor, seed: tf.Tensor, speed: tuple[float, float] = SPEEDS, crop: float = 0.08
) -> tf.Tensor:
    """Resample each clip to a random speed, which shifts pitch and formants, and move it to a random position.

    Args:
        audio: float32 (batch, samples), clips at the left.
        lengths: int32 (batch,), of the clips.
        seed: int32 (2,).
        speed: the least and the largest.
        crop: up to so much of a clip may fall out of the row at either end.

    Returns:
        float32 (batch, samples); zeros around the clips.
    """
    speeds, positions_seed = split_seed(seed, 2)
    rows, samples = tf.unstack(tf.shape(audio))
    rate = tf.exp(draw_uniform(speeds, (rows, 1), np.log(speed[0]), np.log(speed[1])))
    length = tf.cast(lengths[:, None], tf.float32) / rate
    margin = crop * length
    begin = -margin + draw_uniform(positions_seed, (rows, 1)) * (tf.cast(samples, tf.float32) - length + 2 * margin)
    source = (tf.range(tf.cast(samples, tf.float32)) - begin) * rate
    whole = tf.floor(source)
    index = tf.cast(whole, tf.int32)
    fraction = source - whole
    # One gather of pairs takes half as long as two.
    pairs = tf.stack([audio, tf.pad(audio[:, 1:], [[0, 0], [0, 1]])], axis=-1)
    left, right = tf.unstack(tf.gather(pairs, tf.clip_by_value(index, 0, samples - 1), batch_dims=1), axis=-1)
    inside = (source >= 0) & (source < tf.cast(lengths[:, None], tf.float32))
    return tf.where(inside, left + fraction * (right - left), 0.0)


def add_babble(
    audio: tf.Tensor, seed: tf.Tensor, fraction: float = 0.15, snr_db: tuple[float, float] = (5.0, 25.0)
) -> tf.Tensor:
    """Add other clips of the batch at a lower level, as background speech."""
    which, levels, shifts = split_seed(seed, 3)
    shift = tf.random.stateless_uniform((2,), shifts, 0, tf.shape(audio)[1], tf.int32)
    others = tf.roll(audio, [1, shift[0]], [0, 1]) + tf.roll(audio, [2, shift[1]], [0, 1])
    return tf.where(choose_rows(which, audio, fraction), audio + _at_snr(others, audio, levels, snr_db), audio)


def simulate_recording(
    audio: tf.Tensor,
    seed: tf.Tensor,
    *,
    rate_hz: int = 8000,
    equalizer_db: float = 9.0,
    band_fraction: float = 0.5,
    reverb_fraction: float = 0.5,
    snr_db: tuple[float, float] = (4.0, 45.0),
) -> tf.Tensor:
    """Make a step that simulates reverberation, microphone, channel and noise in one pair of transforms.

    A decaying random impulse response; a smooth random equalizer; in some rows a high-pass and a low-pass, as of a
    telephone; noise of a random color from white over pink to brown, from before the first word to behind the last.

    Args:
        audio: float32 (batch, samples).
        seed: int32 (2,).
        rate_hz: of the samples.
        equalizer_db: standard deviation of the equalizer's gain.
        band_fraction, reverb_fraction: fractions of rows with limits of the band, and with reverberation.
        snr_db: least and largest ratio of signal to noise.

    Returns:
        float32 (batch, samples).
    """
    seeds = split_seed(seed, 6)
    samples = tf.shape(audio)[1]
    # Room for the tail of the last sound, and a whole number of intervals for `_on_all_bins`.
    size = (samples + rate_hz // 4 + 2 * _INTERVALS - 1) // (2 * _INTERVALS) * 2 * _INTERVALS
    spectrum = tf.signal.rfft(audio, [size])
    frequency_hz = tf.linspace(0.0, rate_hz / 2, _INTERVALS + 1)
    gain = _equalizer(seeds[0], audio, frequency_hz, rate_hz, equalizer_db)
    gain *= tf.where(choose_rows(seeds[1], audio, band_fraction), _band(seeds[2], audio, frequency_hz, rate_hz), 1.0)
    response = tf.signal.rfft(_impulse_response(seeds[3], audio, rate_hz, reverb_fraction), [size])
    filtered = spectrum * response * tf.cast(_on_all_bins(gain, size), tf.complex64)
    heard = tf.signal.irfft(filtered + _noise(seeds[4], seeds[5], filtered, frequency_hz, snr_db, size), [size])
    return heard[:, :samples]


def _on_all_bins(gains, size):
    """Interpolate smooth gains (batch, intervals + 1) to all bins: (batch, size // 2 + 1)."""
    within = size // (2 * _INTERVALS)
    position = tf.range(tf.cast(within, tf.float32)) / tf.cast(within, tf.float32)
    rise = (gains[:, 1:] - gains[:, :-1])[..., None] * position
    lines = tf.reshape(gains[:, :-1, None] + rise, (tf.shape(gains)[0], size // 2))
    return tf.concat([lines, gains[:, -1:]], axis=1)


def _equalizer(seed, audio, frequency_hz, rate_hz, deviation_db):
    """Return gains (batch, frequencies): random at nine points evenly spaced in mel, linear between them."""
    points = 10
    gains_db = deviation_db * tf.random.stateless_normal((tf.shape(audio)[0], points), seed)
    gains_db = (gains_db[:, :-1] + gains_db[:, 1:]) / 2
    mel = tf.math.log1p(frequency_hz / 700) / np.log1p(rate_hz / 2 / 700) * (points - 2)
    hats = tf.maximum(0.0, 1 - tf.abs(mel - tf.range(points - 1.0)[:, None]))
    return 10 ** (gains_db @ hats / 20)


def _band(seed, audio, frequency_hz, rate_hz):
    """Return gains (batch, frequencies) of a high-pass and a low-pass of random corners and order."""
    draws = draw_uniform(seed, (tf.shape(audio)[0], 3))
    low = 60 * (500 / 60) ** draws[:, :1]
    high = rate_hz * (0.25 + 0.22 * draws[:, 1:2])
    order = 2 + 6 * draws[:, 2:]
    ratio = tf.maximum(frequency_hz, 1.0)
    return tf.math.rsqrt((1 + (low / ratio) ** order) * (1 + (ratio / high) ** (2 * order)))


def _impulse_response(seed, audio, rate_hz, fraction):
    """Return (batch, rate_hz // 4): the direct sound and, in some rows, a tail of 0.05 to 0.6 s to -60 dB."""
    which, lengths, levels, noise = split_seed(seed, 4)
    rows, samples = tf.shape(audio)[0], rate_hz // 4
    decay_s = draw_uniform(lengths, (rows, 1), 0.05, 0.6)
    time_s = tf.range(float(samples)) / rate_hz
    tail = draw_uniform(noise, (rows, samples), -1.0, 1.0) * 10 ** (-3 * time_s / decay_s)
    tail *= tf.math.rsqrt(tf.reduce_sum(tail**2, axis=1, keepdims=True))
    level = tf.where(choose_rows(which, audio, fraction), draw_uniform(levels, (rows, 1), 0.1, 1.0), 0.0)
    return tf.one_hot(0, samples) + level * tail


def _noise(seed, level_seed, spectrum, frequency_hz, snr_db, size):
    """Return spectra (batch, bins) whose power falls as frequency to the power of -2 to 0."""
    normal, colors = split_seed(seed, 2)
    rows, bins = tf.unstack(tf.shape(spectrum))
    components = draw_uniform(normal, (2, rows, bins), -1.0, 1.0)  # sums of them, the samples, are as good as normal
    slope = draw_uniform(colors, (rows, 1), -1.0, 0.0)
    color = _on_all_bins(tf.maximum(frequency_hz / 50, 1.0) ** slope, size)
    noise = tf.complex(components[0] * color, components[1] * color)
    return tf.cast(_scale(noise, spectrum, level_seed, snr_db), tf.complex64) * noise


def _at_snr(noise, audio, seed, snr_db):
    return _scale(noise, audio, seed, snr_db) * noise


def _scale(noise, signal, seed, snr_db):
    """Return the scale of the noise for a random signal-to-noise ratio: (batch, 1)."""
    ratio_db = draw_uniform(seed, (tf.shape(signal)[0], 1), *snr_db)
    power = tf.reduce_mean(tf.abs(signal) ** 2, axis=1, keepdims=True)
    noise_power = tf.reduce_mean(tf.abs(noise) ** 2, axis=1, keepdims=True)
    return tf.sqrt(power / (noise_power + 1e-12)) * 10 ** (-ratio_db / 20)


def apply_recorder(
    audio: tf.Tensor,
    seed: tf.Tensor,
    gain_db: tuple[float, float] = (-35.0, 0.0),
    offset_fraction: float = 0.3,
    clip_fraction: float = 0.15,
) -> tf.Tensor:
    """Make a step that sets the peak to `gain_db`, adds an offset, and clips some rows."""
    gains, which, offsets, clips, amounts = split_seed(seed, 5)
    rows = tf.shape(audio)[0]
    peak = tf.reduce_max(tf.abs(audio), axis=1, keepdims=True) + 1e-9
    overload = tf.where(choose_rows(clips, audio, clip_fraction), draw_uniform(amounts, (rows, 1), 1.0, 5.0), 1.0)
    audio = tf.clip_by_value(audio / peak * overload, -1.0, 1.0)
    offset = tf.where(choose_rows(which, audio, offset_fraction), draw_uniform(offsets, (rows, 1), -0.2, 0.2), 0.0)
    return (audio + offset) * 10 ** (draw_uniform(gains, (rows, 1), *gain_db) / 20)


def apply_fades(audio: tf.Tensor, seed: tf.Tensor, fraction: float = 0.3, longest: float = 0.25) -> tf.Tensor:
    """Fade some rows in and out over up to `longest` of their length."""
    which, ends = split_seed(seed, 2)
    rows, samples = tf.unstack(tf.shape(audio))
    position = tf.linspace(0.0, 1.0, samples)
    width = longest * draw_uniform(ends, (2, rows, 1)) + 1e-3
    envelope = tf.minimum(1.0, position / width[0]) * tf.minimum(1.0, (1 - position) / width[1])
    return tf.where(choose_rows(which, audio, fraction), audio * envelope, audio)


def make_distortions(rate_hz: int, strings: bool = False) -> tuple[Step, ...]:
    """Return the steps with which a model of synthesized voices generalizes to people; `strings` never fade out."""
    always = (add_babble, functools.partial(simulate_recording, rate_hz=rate_hz), apply_recorder)
    return always if strings else (apply_fades, *always)
