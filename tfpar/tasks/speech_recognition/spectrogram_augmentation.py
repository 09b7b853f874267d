"""Distortions of spectrograms in training: another vocal tract, another pace, blunter formants, masks."""

import keras
import numpy as np
import tensorflow as tf

from tfpar.checks import check_fraction
from tfpar.layers.call_context import first_row
from tfpar.ops.random import uniform

_SMOOTHED_BANDS = 3.0  # standard deviation, wider than a formant


@keras.saving.register_keras_serializable(package="tfpar")
class SpectrogramAugmentation(keras.layers.Layer):
    """Warps time and frequency, blunts or sharpens formants and masks stripes of both, in training only.

    It does the same on any number of replicas.

    Both warps interpolate between neighbours, by a product with a matrix of hat functions for each row:

        band' = band * (1 + a) + b        a vocal tract of another length, another microphone
        time' = time * (1 + c) + d * sin  a pace that changes within the word

    A frame x, whose smooth course over the bands is s, becomes s + (1 + e) (x - s): people's formants are blunter than
    those of a synthesiser.

    Args:
        frequency_warp: largest |a|.
        frequency_shift: largest |b|, as a fraction of the bands.
        time_warp: largest |c|, and |d| as a fraction of a quarter of the time.
        blunting, sharpening: e lies between -blunting and sharpening.
        frequency_mask: widest stripe of bands, as a fraction of them; there are two.
        time_mask: widest stripe of frames, as a fraction of them; there are two.
        masked: what a mask leaves.
        seed: of the draws.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        spectrogram: float (batch, frames, bands).

    References:
        Park et al. 2019, SpecAugment, arXiv:1904.08779.
        Jaitly & Hinton 2013, Vocal Tract Length Perturbation improves speech recognition.
    """

    def __init__(
        self,
        frequency_warp=0.12,
        frequency_shift=0.03,
        time_warp=0.15,
        blunting=0.6,
        sharpening=0.3,
        frequency_mask=0.15,
        time_mask=0.1,
        masked=-1.0,
        seed=None,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})  # places of bands and frames need more than 16 bits
        self._fractions = {
            "frequency_warp": frequency_warp,
            "frequency_shift": frequency_shift,
            "time_warp": time_warp,
            "blunting": blunting,
            "sharpening": sharpening,
            "frequency_mask": frequency_mask,
            "time_mask": time_mask,
        }
        for name, value in self._fractions.items():
            check_fraction(name, value)
        self.masked = masked
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, spectrogram, training=False):
        if not training:
            return spectrogram
        rows = tf.shape(spectrogram)[0]
        draws = uniform(rows, (13,), self.seed_generator.next(), first_row(rows))
        draws = tf.cast(draws, spectrogram.dtype)
        warped = spectrogram @ self._frequency_matrix(draws, spectrogram)
        if self._fractions["time_warp"]:
            warped = self._time_matrix(draws, spectrogram) @ warped
        warped = self._contrasted(warped, draws[:, 12, None, None])
        kept = self._kept(draws[:, 4:8], tf.shape(spectrogram)[2], self._fractions["frequency_mask"])[:, None, :]
        kept &= self._kept(draws[:, 8:12], tf.shape(spectrogram)[1], self._fractions["time_mask"])[:, :, None]
        return tf.where(kept, warped, tf.cast(self.masked, warped.dtype))

    def _frequency_matrix(self, draws, spectrogram):
        """(batch, bands, bands)."""
        bands = tf.cast(tf.shape(spectrogram)[2], draws.dtype)
        place = tf.range(bands, dtype=draws.dtype)
        scale = 1 + self._fractions["frequency_warp"] * _signed(draws[:, :1])
        source = place * scale + self._fractions["frequency_shift"] * bands * _signed(draws[:, 1:2])
        return tf.transpose(_hats(source, place), (0, 2, 1))

    def _time_matrix(self, draws, spectrogram):
        """(batch, frames, frames)."""
        frames = tf.cast(tf.shape(spectrogram)[1], draws.dtype)
        place = tf.range(frames, dtype=draws.dtype)
        amount = self._fractions["time_warp"]
        middle = frames / 2
        source = middle + (place - middle) * (1 + amount * _signed(draws[:, 2:3]))
        bend = tf.sin(2 * 3.14159265 * place / frames) * frames / 12
        return _hats(source + amount * _signed(draws[:, 3:4]) * bend, place)

    def _contrasted(self, spectrogram, draws):
        place = np.arange(spectrogram.shape[2])
        weights = np.exp(-0.5 * ((place[:, None] - place) / _SMOOTHED_BANDS) ** 2)
        smooth = spectrogram @ tf.constant(weights / weights.sum(axis=0), spectrogram.dtype)
        least, most = -self._fractions["blunting"], self._fractions["sharpening"]
        return smooth + (1 + least + (most - least) * draws) * (spectrogram - smooth)

    @staticmethod
    def _kept(draws, size, widest):
        """bool (batch, size): False in two stripes."""
        size = tf.cast(size, draws.dtype)
        place = tf.range(size, dtype=draws.dtype)
        width = widest * size * draws[:, :2]
        begin = (size - width) * draws[:, 2:]
        inside = (place >= begin[..., None]) & (place < (begin + width)[..., None])
        return ~tf.reduce_any(inside, axis=1)

    def compute_output_shape(self, shape):
        return shape

    def get_config(self):
        return {**super().get_config(), **self._fractions, "masked": self.masked, "seed": self.seed}


def _signed(draws):
    """From [0, 1) to [-1, 1)."""
    return 2 * draws - 1


def _hats(source, place):
    """(batch, target, source): weights of linear interpolation at `source`, float (batch, target); its ends go on."""
    source = tf.clip_by_value(source, 0, place[-1])
    return tf.maximum(0.0, 1 - tf.abs(source[:, :, None] - place))
