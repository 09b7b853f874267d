"""Clips of speech as rows of one length; NumPy alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np

_FRAME_S = 0.01
# Speech begins and ends where a frame is so far below the loudest one.
_SILENCE_DB = -35.0
_MARGIN_S = 0.03
# In training clips are played so much slower, and faster.
SPEEDS = (0.75, 1.3)


@dataclass(frozen=True, eq=False)
class Clips:
    """Clips of one split.

    Attributes:
        audio: int16 (clips, samples), each clip at the left and zeros behind it.
        lengths: int32 (clips,), in samples.
        labels: int32 (clips,) of classes; or (clips, symbols) of strings, -1 behind their end.
    """

    audio: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def center(self, rows: Any = slice(None)) -> np.ndarray:
        """Return each clip centered in its row, as by `fit_length`: float32 (clips, samples)."""
        audio, lengths = self.audio[rows], self.lengths[rows]
        indices = (np.arange(audio.shape[1]) - (audio.shape[1] - lengths[:, None]) // 2) % audio.shape[1]
        return np.take_along_axis(audio, indices, axis=1).astype(np.float32) / 32768


def trim(signal: np.ndarray, rate_hz: int) -> np.ndarray:
    """Cut silence from both ends; an entirely silent signal becomes empty.

    Args:
        signal: float (samples,).
        rate_hz: of the signal.

    Returns:
        A part of `signal`, without its mean.
    """
    signal = signal - signal.mean() if len(signal) else signal
    size = round(_FRAME_S * rate_hz)
    frames = np.pad(signal, (0, -len(signal) % size)).reshape(-1, size)
    level = np.sqrt(np.mean(np.square(frames), axis=1))
    if not len(level) or level.max() < 1e-4:  # a few steps of 16 bits
        return signal[:0]
    loud = np.flatnonzero(level > level.max() * 10 ** (_SILENCE_DB / 20))
    margin = round(_MARGIN_S * rate_hz)
    return signal[max(0, loud[0] * size - margin) : (loud[-1] + 1) * size + margin]


def fit_length(signal: np.ndarray, samples: int) -> np.ndarray:
    """Return float32 (samples,): the signal centered in zeros or, if longer, its part with most energy."""
    if len(signal) > samples:
        energy = np.concatenate([[0], np.cumsum(np.square(signal, dtype=np.float64))])
        start = int(np.argmax(energy[samples:] - energy[:-samples]))
        return np.asarray(signal[start : start + samples], np.float32)
    before = (samples - len(signal)) // 2
    return np.pad(np.asarray(signal, np.float32), (before, samples - len(signal) - before))


def pack(signals: list[np.ndarray], labels: Any, samples: int) -> Clips:
    """Make `Clips` of float signals of at most so many samples; longer ones are cut to the loudest part."""
    audio = np.zeros((len(signals), samples), np.int16)
    for row, signal in zip(audio, signals, strict=True):
        signal = fit_length(signal, samples) if len(signal) > samples else signal
        row[: len(signal)] = np.round(np.clip(signal, -1, 1) * 32767)
    lengths = np.array([min(len(signal), samples) for signal in signals], np.int32)
    return Clips(audio, lengths, np.asarray(labels, np.int32))
