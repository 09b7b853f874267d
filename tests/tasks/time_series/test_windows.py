"""Windows as indices: which steps they hold, splits without leaks, and batches."""

import dataclasses
import resource

import numpy as np
import pytest

from tfpar.errors import UserError
from tfpar.tasks.time_series.forecast_data import add_series_statistics, split_panel
from tfpar.tasks.time_series.scaling import fit_difference_deviation, fit_scaling
from tfpar.tasks.time_series.synthetic import generate_panel
from tfpar.tasks.time_series.windows import Windows, add_indicators, shuffle_windows, whole_series, window_batches


def test_windows_are_those_of_a_loop():
    values = np.arange(20, dtype=np.float32)[:, None]
    windows = Windows(values, np.array([0, 12]), np.array([5, 2]), np.array([12, 20]), size=4, stride=2)
    expected = [np.arange(s, s + 4) for s in (0, 2, 4, 6, 8, 12, 14)]
    np.testing.assert_array_equal(windows.gather(np.arange(7))[..., 0], expected)


def test_short_series_end_in_nan():
    windows = whole_series(np.ones((5, 1), np.float32), np.array([0, 2, 5]), size=3)
    np.testing.assert_array_equal(windows.gather(np.array([0, 1]))[..., 0], [[1, 1, np.nan], [1, 1, 1]])
    inputs = add_indicators(windows.gather(np.array([0])), True)
    np.testing.assert_array_equal(inputs[0], [[1, 1], [1, 1], [0, 0]])


def test_splits_share_no_step_that_is_forecast():
    data = split_panel(generate_panel(), 24, 12, "0.6,0.2,0.2")
    forecast = {}
    for split in ("train", "validation", "test"):
        windows = data.windows(split)
        _, start = windows.find(np.arange(len(windows)))
        forecast[split] = set((start[:, None] + 24 + np.arange(12)).ravel())
    assert not forecast["train"] & (forecast["validation"] | forecast["test"])
    assert not forecast["validation"] & forecast["test"]
    assert max(forecast["test"]) == len(data.panel.values) - 1


def test_scaling_is_of_the_training_steps():
    panel = generate_panel()
    data = split_panel(panel, 24, 12, "96,32,32")
    steps = np.concatenate([panel.values[:96], panel.values[160:256]])
    np.testing.assert_allclose(data.scaling.mean, np.nanmean(steps, axis=0), rtol=1e-5)
    np.testing.assert_allclose(data.scaling.deviation, np.nanstd(steps, axis=0), rtol=1e-5)
    assert fit_scaling(np.full((5, 1), 7.0)).deviation == (1.0,)


def test_differences_are_not_taken_between_series(monkeypatch):
    values = np.random.default_rng(0).normal(size=(20, 2))
    values[3, 0] = np.nan
    values[:, 1] = 5
    offsets = np.array([0, 1, 7, 7, 20])
    series = [values[begin:end, 0] for begin, end in zip(offsets, offsets[1:], strict=False)]
    expected = np.sqrt(np.nanmean(np.concatenate([np.square(np.diff(each)) for each in series])))
    for rows in (1, 6, 100):
        monkeypatch.setattr("tfpar.tasks.time_series.scaling.ROWS", rows)
        np.testing.assert_allclose(fit_difference_deviation(values, offsets), [expected, 1.0])


def test_series_are_dealt_out_as_whole_ones():
    data = split_panel(generate_panel(series=10), 24, 12, "0.5,0.2,0.3", by_series=True)
    counts = [(data.end[split] > data.begin[split]).sum() for split in range(3)]
    assert counts == [5, 2, 3]


def test_no_split_of_a_short_series_reaches_into_the_next():
    panel = generate_panel()
    short = dataclasses.replace(panel, offsets=np.array([0, 10, 320]))
    data = split_panel(short, 24, 12)
    assert data.end[:, 0].max() == 10 and data.begin[0, 1] == 10
    for split in range(3):
        assert (data.end[split] >= data.begin[split]).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((24, 48, "96,32,32"), "--horizon 48 is longer than the test split of 32 steps"),
        ((150, 12, "96,32,32"), "the train split has no window of 150"),
        ((24, 12, "96,32"), "--split must be three numbers"),
        ((24, 12, "0.5,0.5,0.5"), "--split must be three numbers"),
        ((24, 12, "960,32,32"), "needs 1,024 steps; series '0' has 160"),
    ],
)
def test_what_is_refused(arguments, words):
    with pytest.raises(UserError, match=words):
        split_panel(generate_panel(), *arguments)


def test_a_split_column_that_leaks_is_refused():
    panel = generate_panel()
    splits = np.tile(np.repeat([0, 2, 0, 1], 40), 2).astype(np.int8)
    with pytest.raises(UserError, match="a train step follows a test step"):
        split_panel(dataclasses.replace(panel, splits=splits), 24, 12)


def test_statistics_are_of_the_training_steps_of_each_series():
    panel = generate_panel()
    plain = split_panel(panel, 24, 12, "96,32,32")
    data = add_series_statistics(plain)
    assert data.panel.columns[2:] == ("mean of sine", "mean of cosine", "deviation of sine", "deviation of cosine")
    assert (data.known, data.input_steps, data.scaling) == (0, 24, plain.scaling)
    expected = np.nanmean(panel.values[160:256], axis=0), np.nanstd(panel.values[160:256], axis=0)
    np.testing.assert_allclose(data.panel.values[160:, 2:], np.tile(np.ravel(expected), (160, 1)), rtol=1e-4)
    with pytest.raises(UserError, match="needs training steps of each series"):
        add_series_statistics(split_panel(generate_panel(series=10), 24, 12, "0.5,0.2,0.3", by_series=True))


@pytest.mark.parametrize(("split", "begin", "end"), [("train", 0, 96), ("validation", 96, 128), ("test", 128, 160)])
def test_a_split_without_values_is_refused(split, begin, end):
    panel = generate_panel(series=1)
    values = np.array(panel.values)
    values[begin:end] = np.nan
    with pytest.raises(UserError, match=f"all values of the column 'sine' are missing in the {split} split"):
        split_panel(dataclasses.replace(panel, values=values), 24, 12, "0.6,0.2,0.2")


def test_many_windows_are_drawn_without_repetition():
    drawn = shuffle_windows(10**8, 1000, [1, 2])
    assert len(set(drawn)) == 1000 and 0 <= drawn.min() and drawn.max() < 10**8
    assert sorted(shuffle_windows(50, 50, [1])) == list(range(50))


def test_a_large_panel_takes_little_memory():
    """100,000 series of 1,000 steps: windows are indices, and no epoch lists them all."""
    values = np.broadcast_to(np.float32(1), (100_000_000, 1))  # no memory of its own
    first = np.arange(0, 100_000_000, 1000)
    windows = Windows(values, first, np.full(100_000, 900), first + 1000, size=101)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for epoch in range(3):
        chosen = shuffle_windows(len(windows), 10_000, [0, epoch])
        assert windows.gather(chosen[:64]).shape == (64, 101, 1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB


def test_batches():
    windows = Windows(np.arange(9, dtype=np.float32)[:, None], np.array([0]), np.array([7]), np.array([9]), size=3)

    def make_rows(indices, _):
        rows = windows.gather(indices)
        return rows, rows[:, -1]

    batches = window_batches(windows, make_rows, ((3, 1), (1,)), batch_size=4, shuffle=True, seed=3)
    assert len(batches) == 2
    epochs = [[(x.numpy(), y.numpy(), w.numpy()) for x, y, w in batches] for _ in range(2)]
    for epoch in epochs:
        seen = [float(y) for _, ys, ws in epoch for y, w in zip(ys[:, 0], ws, strict=True) if w]
        assert sorted(seen) == [2, 3, 4, 5, 6, 7, 8]
    assert not np.array_equal(epochs[0][0][0], epochs[1][0][0])
    later = window_batches(windows, make_rows, ((3, 1), (1,)), batch_size=4, shuffle=True, seed=3, first_epoch=1)
    np.testing.assert_array_equal(next(iter(later))[0], epochs[1][0][0])
    twice = window_batches(windows, make_rows, ((3, 1), (1,)), batch_size=4, shuffle=True, seed=3, passes=2)
    assert len(twice) == 4
    for ours, theirs in zip(twice, [*epochs[0], *epochs[1]], strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
    with pytest.raises(UserError, match="batch_size=3, replicas=2"):
        window_batches(windows, make_rows, ((3, 1), (1,)), batch_size=3, shuffle=False, replicas=2)
