"""Variants of labeled series: what they keep of their series, and what they depend on."""

import numpy as np
import pytest

from tfpar.tasks.time_series.augmentation import AugmentedSeries
from tfpar.tasks.time_series.labeled import LabeledSeries
from tfpar.tasks.time_series.windows import whole_series

LENGTHS = (6, 9, 1, 8)
STEPS = 10


def make_split(values=None):
    total = sum(LENGTHS)
    values = np.random.default_rng(0).normal(size=(total, 2)) if values is None else values
    return LabeledSeries(
        np.asarray(values, np.float32), np.cumsum([0, *LENGTHS]).astype(np.int64), np.array([0, 1, 0, 0], np.int32)
    )


def draw(split, seed=0, rows=4000, **flags):
    indices = np.arange(rows) % len(split)
    windows = whole_series(split.values, split.offsets, STEPS)
    return AugmentedSeries(split, windows, **flags).gather(indices, [seed, 1]), indices


@pytest.mark.parametrize("flags", [{"mixup": 0.5}, {"time_warp": 0.3}, {"jitter": 0.1}])
def test_variants_have_their_lengths_and_differ(flags):
    split = make_split()
    series, indices = draw(split, **flags)
    assert series.dtype == np.float32
    np.testing.assert_array_equal((~np.isnan(series)).all(axis=-1).sum(axis=1), split.lengths[indices])
    np.testing.assert_array_equal(series, draw(split, **flags)[0])
    assert np.nanmax(np.abs(series - draw(split, seed=1, **flags)[0])) > 0.01


def test_series_are_mixed_within_their_class():
    """Each class has a constant of its own sign; the only series of a class stays what it is."""
    values = np.repeat([[1.0, 1], [-5, -5], [2, 2], [3, 3]], LENGTHS, axis=0)
    series, indices = draw(make_split(values), mixup=1.0)
    of_class = series[:, 0, 0]
    np.testing.assert_allclose(of_class[indices == 1], -5)
    assert of_class[indices != 1].min() >= 0.999 and of_class[indices != 1].max() <= 3.001
    assert np.isclose(of_class[indices == 0].mean(), (1 + (1 + 2 + 3) / 3) / 2, atol=0.05)


def test_partners_are_stretched_to_the_length_of_the_series():
    ramp = np.concatenate([np.linspace(0, 1, length) if length > 1 else [0.5] for length in LENGTHS])
    series, indices = draw(make_split(np.stack([ramp, -ramp], axis=-1)), mixup=1.0)
    longest = series[indices == 3][:, :8, 0]  # a mixture of ramps, or with the series of one step, 0.5
    np.testing.assert_allclose(np.diff(longest, n=2, axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(longest[:, 0] + longest[:, -1], 1, atol=1e-5)


def test_warped_series_keep_their_ends_and_their_order():
    ramp = np.concatenate([np.linspace(0, 1, length) if length > 1 else [0.5] for length in LENGTHS])
    series, indices = draw(make_split(np.stack([ramp, -ramp], axis=-1)), time_warp=0.3)
    warped = series[indices == 1][:, :9, 0]
    np.testing.assert_allclose(warped[:, [0, -1]], [[0, 1]] * len(warped), atol=1e-5)
    assert (np.diff(warped, axis=1) > 0).all()
    assert 0.02 < np.std(warped[:, 4]) < 0.2
    np.testing.assert_array_equal(series[indices == 2][:, 0, 0], 0.5)


def test_noise_is_in_units_of_the_changes():
    split = make_split()
    series, indices = draw(split, rows=40000, jitter=0.5)
    own = split.values[:6]
    change = np.sqrt(np.mean(np.square(np.diff(own, axis=0)), axis=0))
    noise = series[indices == 0][:, :6] - own
    np.testing.assert_allclose(noise.std(axis=(0, 1)), 0.5 * change, rtol=0.02)


def test_missing_values_stay_missing():
    values = np.random.default_rng(0).normal(size=(sum(LENGTHS), 2))
    values[2, 1] = np.nan
    series, indices = draw(make_split(values), jitter=0.5)
    assert np.isnan(series[indices == 0][:, 2, 1]).all() and not np.isnan(series[indices == 0][:, :6, 0]).any()
