"""Tiny generated series, to try a recipe's whole path in seconds and without a network."""

import numpy as np

from tfpar.tasks.time_series.labeled import LabeledSeries, LabeledSeriesData
from tfpar.tasks.time_series.panel import Panel, Rows, make_panel

_CHANNELS = 2
_STEPS, _SEASON = 160, 8


def generate_labeled_series(seed: int = 0, train: int = 48, held_out: int = 16) -> LabeledSeriesData:
    """Generate sines with noise, 12 to 16 steps long, whose frequency is that of their class."""
    generator = np.random.default_rng(seed)

    def split(count):
        labels = np.arange(count, dtype=np.int32) % 2
        series = [_sine(generator, int(generator.integers(12, 17)), 1 + label) for label in labels]
        offsets = np.concatenate([[0], np.cumsum([len(one) for one in series])]).astype(np.int64)
        return LabeledSeries(np.concatenate(series), offsets, labels)

    return LabeledSeriesData(
        name="generated",
        train=split(train),
        validation=split(held_out),
        test=split(held_out),
        channels=("sine", "cosine"),
        class_names=("slow", "fast"),
        label_kind="classes",
        split_rule="drawn independently",
        notice="Generated at random; no license.",
    )


def _sine(generator, steps, frequency):
    phase = 2 * np.pi * (frequency * np.arange(steps) / 8 + generator.random())
    noise = generator.normal(0, 0.1, (steps, _CHANNELS))
    return (np.stack([np.sin(phase), np.cos(phase)], axis=1) + noise).astype(np.float32)


def generate_panel(seed: int = 0, series: int = 2) -> Panel:
    """Generate hourly sines with noise and a trend, of two columns, with a few missing values and labeled spikes."""
    generator = np.random.default_rng(seed)
    steps = np.arange(_STEPS)
    pieces, marks = [], []
    for _ in range(series):
        phase = 2 * np.pi * (steps / _SEASON + generator.random())
        values = np.stack([np.sin(phase), np.cos(phase)], axis=1) + 0.01 * steps[:, None]
        values = 10 * (values + generator.normal(0, 0.1, values.shape))
        is_anomaly = steps % 50 == 45
        values[is_anomaly] += 30
        values[generator.integers(0, _STEPS, 3), 0] = np.nan
        pieces.append(values)
        marks.append(np.stack([np.full(_STEPS, -1), is_anomaly], axis=1))
    times = 1_700_000_000_000_000 // 3_600_000_000 * 3_600_000_000 + steps * 3_600_000_000
    return make_panel(
        Rows(
            np.concatenate(pieces).astype(np.float32),
            np.repeat(np.arange(series), _STEPS),
            np.tile(times, series),
            np.concatenate(marks).astype(np.int8),
        ),
        is_number=False,
        has_splits=False,
        has_labels=True,
        where="generated",
        ids=tuple(map(str, range(series))),
        columns=("sine", "cosine"),
        targets=2,
        past=0,
        notice="Generated at random; no license.",
    )
