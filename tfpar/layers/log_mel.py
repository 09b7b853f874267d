"""A front end of speech recognition in the graph: from waveforms to normalized log-mel spectrograms."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfpar.checks import check_one_of, check_positive_integer
from tfpar.layers.argument_types import Shape
from tfpar.layers.call_context import is_exporting
from tfpar.layers.step_layer import StepLayer, Tensors, append_to_history

NORMALIZATIONS = ("level", "none")
PADDINGS = ("valid", "causal")
# Unit of amplitude, -120 and -90 dB of full scale: log(1 + power) needs no epsilon, which float16 would round to 0.
# -120 dB is the noise of 16 bits. Without level normalization, float32 rounding beside a loud tone exceeds it.
_AMPLITUDE_UNITS = {"level": 2.0**-20, "none": 2.0**-15}
_MATRIX_SCALE = 2.0**10  # part of 1 / unit that is in the matrices, since float16 ends at 65,504
_RESIDUE_SCALE = 2.0**10  # of a constant's rounding error in float16, which is too small for float16 itself


@keras.saving.register_keras_serializable(package="tfpar")
class LogMelSpectrogram(StepLayer, keras.layers.Layer):
    """Log-mel spectrogram by matrix products with constants.

    Frames of several hops get a Hann window and a DFT, written as a product; triangular filters sum their powers. Bands
    start above `low_hz`, so that a constant offset of the samples has no effect. With `normalization="level"`

        y[t, band] = 1 + max(log p[t, band] - max over t, band of log p, -range) / (range / 2)

    which is invariant to gain and lies in [-1, 1]. With "none" it is log(p + 2**-30) / 10 + 1: frames are independent,
    as streams require, whose steps are hops.

    Args:
        rate_hz: sampling rate.
        hop: samples from one frame to the next.
        hops_per_frame: length of a frame in hops; with 1 frames do not overlap.
        bands: number of mel bands.
        low_hz, high_hz: lower edge of the lowest band and upper edge of the highest; `high_hz` None: 0.48 * rate_hz.
        normalization: one of `NORMALIZATIONS`.
        range_nepers: dynamic range below the loudest power, in natural logarithms; lower powers are clipped.
        padding: "valid": the first frame starts with the audio; "causal": it ends with the first hop, after silence, so
            that there is a frame for each hop and a stream has no latency.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        audio: float (batch, samples), or (batch, frames, hop).

    Returns:
        float32 (batch, frames, bands); frames = samples // hop - hops_per_frame + 1, or samples // hop if causal.

    Raises:
        ValueError: an argument is out of range.
    """

    keep_float32 = True  # in an int8 file

    def __init__(
        self,
        rate_hz: int = 8000,
        hop: int = 80,
        hops_per_frame: int = 3,
        bands: int = 40,
        low_hz: float = 90.0,
        high_hz: float | None = None,
        normalization: str = "level",
        range_nepers: float = 12.0,
        padding: str = "valid",
        **kwargs: Any,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})  # 16 bits do not cover the range of powers
        for name, value in (("rate_hz", rate_hz), ("hop", hop), ("hops_per_frame", hops_per_frame), ("bands", bands)):
            setattr(self, name, check_positive_integer(name, value))
        self.low_hz, self.high_hz = low_hz, high_hz
        if not 0 <= low_hz < self._high_hz() <= rate_hz / 2:
            raise ValueError(
                f"`low_hz` and `high_hz` must satisfy 0 <= low_hz < high_hz <= {rate_hz / 2:g}; got "
                f"low_hz={low_hz}, high_hz={high_hz}"
            )
        self.normalization = check_one_of("normalization", normalization, NORMALIZATIONS)
        self.range_nepers = float(range_nepers)
        self.padding = check_one_of("padding", padding, PADDINGS)
        window = hop * hops_per_frame
        if window % 2:
            raise ValueError(f"`hop` * `hops_per_frame` must be even; got {hop} * {hops_per_frame}")
        self._amplitude_unit = _AMPLITUDE_UNITS[normalization]
        self._cosines, self._sines = (_MATRIX_SCALE * matrix for matrix in dft_matrices(window))
        self._mel = mel_matrix(rate_hz, window, bands, low_hz, self._high_hz())
        self.built = True

    def _high_hz(self):
        return 0.48 * self.rate_hz if self.high_hz is None else self.high_hz

    @property
    def step_obstacle(self) -> str | None:
        """The reason why the layer cannot process a stream, with the remedy; None if it can."""
        if self.normalization == "none":
            return None
        return "its unit of level is the loudest power of the whole sequence. Use normalization='none'"

    @property
    def latency(self) -> int:
        """Hops by which `step` is behind the whole sequence."""
        return self.hops_per_frame - 1 if self.padding == "valid" else 0

    @property
    def state_names(self) -> tuple[str, ...]:
        """Suffixes of the names of the states in an exported file."""
        return ("history",) if self.hops_per_frame > 1 else ()

    def state_shapes(self) -> list[tuple[int, ...]]:
        return [(self.hops_per_frame - 1, self.hop)] if self.state_names else []

    def step(self, sequences: tf.Tensor, states: Tensors, mask: tf.Tensor | None = None) -> tuple[Any, list[tf.Tensor]]:
        """Process the next hops of a stream, float (batch, hops, hop); see `StepLayer`."""
        del mask
        self.check_step(sequences)
        after = list(states)
        if self.state_names:
            sequences, after[0] = append_to_history(states[0], sequences)
        return self._log_mel(sequences), after

    def call(self, audio: tf.Tensor) -> tf.Tensor:
        hops = audio if len(audio.shape) == 3 else self._hops(audio)
        if self.padding == "causal":
            hops = ops.pad(hops, [[0, 0], [self.hops_per_frame - 1, 0], [0, 0]])
        return self._log_mel(hops)

    def _log_mel(self, hops):
        """Return (batch, frames, bands) of hops, of which the first are part of the first frame only."""
        cosines, sines, mel = (make_exportable(matrix, hops) for matrix in (self._cosines, self._sines, self._mel))
        # Cosines are even and sines odd about the middle of a window: folding its halves saves half the products.
        frames = self._frames(hops / (_MATRIX_SCALE * self._amplitude_unit))
        left, right = frames[..., : frames.shape[-1] // 2], ops.flip(frames[..., frames.shape[-1] // 2 :], axis=-1)
        power = ops.square(ops.matmul(left + right, cosines)) + ops.square(ops.matmul(left - right, sines))
        log_power = ops.log(ops.matmul(power, mel) + 1)
        if self.normalization == "none":
            return log_power / 10 + (1 + np.log(self._amplitude_unit) / 5)
        loudest = ops.max(log_power, axis=(1, 2), keepdims=True)
        return 1 + ops.maximum(log_power - loudest, -self.range_nepers) / (self.range_nepers / 2)

    def _hops(self, audio):
        """Reshape to (batch, samples // hop, hop)."""
        samples = audio.shape[1]
        whole = None if samples is None else samples // self.hop
        cut = audio[:, : whole * self.hop] if whole else audio[:, : ops.shape(audio)[1] // self.hop * self.hop]
        return ops.reshape(cut, (-1, whole or ops.shape(cut)[1] // self.hop, self.hop))

    def _frames(self, hops):
        """Concatenate consecutive hops: (batch, frames, window)."""
        last = self.hops_per_frame - 1
        if not last:
            return hops
        count = hops.shape[1] - last if hops.shape[1] else ops.shape(hops)[1] - last
        return ops.concatenate([hops[:, start : start + count] for start in range(last + 1)], axis=-1)

    def compute_output_shape(self, shape: Shape) -> Shape:
        hops = shape[1] if len(shape) == 3 or shape[1] is None else shape[1] // self.hop
        lost = self.hops_per_frame - 1 if self.padding == "valid" else 0
        return shape[0], None if hops is None else hops - lost, self.bands

    def get_config(self) -> dict[str, Any]:
        names = (
            "rate_hz",
            "hop",
            "hops_per_frame",
            "bands",
            "low_hz",
            "high_hz",
            "normalization",
            "range_nepers",
            "padding",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def make_exportable(matrix: np.ndarray, inputs: tf.Tensor) -> np.ndarray | tf.Tensor:
    """Return a constant that keeps its precision in any TFLite file.

    The converter would quantize weights of matrix products, and 8 or 16 bits do not cover the range of powers. When
    exporting, we add a zero that is computed at run time, so that the converter cannot fold and quantize the constant.
    In a float16 file the constant is a sum of two: its float16 value, and its scaled rounding error.
    """
    if not is_exporting("tflite", "tflite_float16"):
        return matrix
    zero = ops.minimum(ops.square(ops.max(inputs)), 0.0)
    if is_exporting("tflite"):
        return matrix + zero
    high = matrix.astype(np.float16).astype(np.float32)
    return (high + zero) + (_RESIDUE_SCALE * (matrix - high) + zero) / _RESIDUE_SCALE


def dft_matrices(window: int) -> tuple[np.ndarray, np.ndarray]:
    """Make Hann-windowed cosines and sines over the left half of a window that is folded about its middle.

    Returns:
        float32 (window // 2, window // 2 + 1) each; a full-scale sine has power 1.
    """
    time = np.arange(window // 2) - (window - 1) / 2
    hann = 0.5 + 0.5 * np.cos(2 * np.pi * time / window)
    angle = 2 * np.pi * time[:, None] * np.arange(window // 2 + 1) / window
    scale = hann[:, None] / hann.sum()
    return (scale * np.cos(angle)).astype(np.float32), (scale * np.sin(angle)).astype(np.float32)


def mel_matrix(rate_hz: int, window: int, bands: int, low_hz: float, high_hz: float) -> np.ndarray:
    """Make triangular filters of equal width on the mel scale: float32 (window // 2 + 1, bands).

    A narrow band may contain no bin, so each triangle is averaged over the width of a bin.
    """
    edges = _hertz(np.linspace(_mel(low_hz), _mel(high_hz), bands + 2))
    oversampling = 16
    fine = (np.arange((window // 2 + 1) * oversampling) + 0.5) / oversampling - 0.5
    fine_hz = fine[:, None] * rate_hz / window
    rising = (fine_hz - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - fine_hz) / (edges[2:] - edges[1:-1])
    triangles = np.clip(np.minimum(rising, falling), 0, None)
    return triangles.reshape(window // 2 + 1, oversampling, bands).mean(axis=1).astype(np.float32)


def _mel(hertz):
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def _hertz(mel):
    return 700 * (10 ** (np.asarray(mel) / 2595) - 1)
