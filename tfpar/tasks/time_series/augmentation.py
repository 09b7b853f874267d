"""Random variants of labeled series for training: mixed with another of their class, warped in time, with noise."""

import dataclasses
import functools

import numpy as np

from tfpar.tasks.time_series.labeled import LabeledSeries
from tfpar.tasks.time_series.windows import Windows

_SPEEDS = 4  # points in time between which the speed of a warped series is interpolated


@dataclasses.dataclass(frozen=True, eq=False)
class AugmentedSeries:
    """Random variants of the series of a split.

    Attributes:
        split: the series.
        windows: a window for each series, as long as the longest one.
        mixup: parameter of the symmetric beta distribution of the weight of a series beside another one of its class,
            or of the same targets, which is stretched to its length; 0: no mixing.
        time_warp: standard deviation of the logarithm of a series' speed; 0: no warping.
        jitter: standard deviation of the noise, in units of the root mean square of the changes from step to step, of
            each channel of each series; 0: no noise.

    References:
        Zhang et al. 2018, mixup, arXiv:1710.09412; here within a class, so that labels stay what they are.
        Um et al. 2017, Data augmentation of wearable sensor data (warping, jitter), arXiv:1706.00527.
    """

    split: LabeledSeries
    windows: Windows
    mixup: float = 0.0
    time_warp: float = 0.0
    jitter: float = 0.0

    @functools.cached_property
    def _groups(self):
        """The group of each series by its targets; series ordered by group; where each group begins; its size."""
        _, groups, counts = np.unique(self.split.targets, axis=0, return_inverse=True, return_counts=True)
        groups = groups.ravel()
        return groups, np.argsort(groups, kind="stable"), np.cumsum(counts) - counts, counts

    def gather(self, indices: np.ndarray, seed: list[int]) -> np.ndarray:
        """Copy variants of series: float32 (rows, steps, channels); shorter ones end in NaN.

        Args:
            indices: int64 (rows,), of the series.
            seed: of the random numbers.
        """
        generator = np.random.default_rng(seed)
        lengths, steps = self.split.lengths[indices], self.windows.size
        series = self.windows.gather(indices)
        if self.mixup:
            partners = self._draw_partners(indices, generator)
            of_partners = self.split.lengths[partners]
            scale = np.maximum(of_partners - 1, 0) / np.maximum(lengths - 1, 1)
            others = _interpolate(self.windows.gather(partners), np.arange(steps) * scale[:, None], of_partners)
            weight = generator.beta(self.mixup, self.mixup, (len(indices), 1, 1)).astype(np.float32)
            series = weight * series + (1 - weight) * others
        if self.time_warp:
            positions = _draw_positions(steps, lengths, self.time_warp, generator)
            series = _interpolate(series, positions, lengths)
        if self.jitter:
            noise = generator.normal(0, self.jitter, series.shape).astype(np.float32)
            series = series + noise * _mean_change(series)
        series[np.arange(steps) >= lengths[:, None]] = np.nan
        return series

    def _draw_partners(self, indices, generator):
        """Draw a series of the same targets for each index, possibly itself: int64 (rows,)."""
        groups, order, begins, counts = self._groups
        chosen = groups[indices]
        return order[begins[chosen] + generator.integers(counts[chosen])]


def _mean_change(series):
    """Compute the root mean square of the changes from step to step: float32 (rows, 1, channels)."""
    squares = np.square(np.diff(series, axis=1))
    count = np.maximum((~np.isnan(squares)).sum(axis=1, keepdims=True), 1)
    return np.sqrt(np.nansum(squares, axis=1, keepdims=True) / count).astype(np.float32)


def _draw_positions(steps, lengths, deviation, generator):
    """Draw increasing positions from a series' first step to its last one: float (rows, steps)."""
    rows = len(lengths)
    speeds = np.exp(generator.normal(0, deviation, (rows, _SPEEDS)))
    time = np.arange(steps) / np.maximum(lengths - 1, 1)[:, None] * (_SPEEDS - 1)
    speeds = _interpolate(speeds[..., None], time, np.full(rows, _SPEEDS))[..., 0]
    distances = np.cumsum(speeds, axis=1) - speeds[:, :1]
    last = np.take_along_axis(distances, np.maximum(lengths - 1, 0)[:, None], axis=1)
    return distances * ((lengths - 1)[:, None] / np.maximum(last, 1e-9))


def _interpolate(series, positions, lengths):
    """Interpolate each series (rows, time, channels) at its positions (rows, steps), within its length."""
    last = np.maximum(lengths - 1, 0)[:, None]
    positions = np.clip(positions, 0, last)
    before = positions.astype(np.int64)
    fraction = (positions - before)[..., None].astype(series.dtype)
    rows = np.arange(len(series))[:, None]
    left, right = series[rows, before], series[rows, np.minimum(before + 1, last)]
    return np.where(fraction > 0, left + fraction * (right - left), left)
