"""Another sample rate, for whole signals; NumPy alone."""

import math

import numpy as np

# The share of the band, at its end, over which the low-pass falls: a cliff would ring.
_ROLL_OFF = 0.05


def resample(signal: np.ndarray, rate_hz: int, to_rate_hz: int) -> np.ndarray:
    """Resample a signal without aliasing.

    The spectrum of the signal, padded to a length that both rates can express, is cut at the lower of the two Nyquist
    frequencies, with a roll-off, and transformed back at the new rate.

    Args:
        signal: float (..., samples).
        rate_hz: of `signal`.
        to_rate_hz: of the result.

    Returns:
        float32 (..., round(samples * to_rate_hz / rate_hz)).

    >>> resample(np.ones(441), 44_100, 8_000).shape
    (80,)
    """
    signal = np.asarray(signal, np.float32)
    if rate_hz == to_rate_hz or not signal.shape[-1]:
        return signal
    divisor = math.gcd(rate_hz, to_rate_hz)
    up, down = to_rate_hz // divisor, rate_hz // divisor
    samples = signal.shape[-1]
    # Silence behind the signal keeps its end from leaking into its begin.
    blocks = -(-(samples + rate_hz // 50) // down)
    spectrum = np.fft.rfft(signal, blocks * down)
    selected = min(blocks * down, blocks * up) // 2 + 1
    spectrum = spectrum[..., :selected] * _low_pass(selected)
    resampled = np.fft.irfft(spectrum, blocks * up) * (up / down)
    return resampled[..., : round(samples * to_rate_hz / rate_hz)].astype(np.float32)


def _low_pass(bins):
    position = np.linspace(0, 1, bins)
    return 0.5 + 0.5 * np.cos(np.pi * np.clip((position - 1 + _ROLL_OFF) / _ROLL_OFF, 0, 1))
