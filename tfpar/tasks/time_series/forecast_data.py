"""Data of a forecaster: windows of each split of a panel, without leaks."""

import dataclasses
import functools
import hashlib

import numpy as np

from tfpar.data.readers.splits import SPLITS
from tfpar.errors import UserError
from tfpar.tasks.time_series.panel import Panel, find_descent
from tfpar.tasks.time_series.row_buffer import ROWS, make_rows
from tfpar.tasks.time_series.scaling import Scaling, fit_scaling
from tfpar.tasks.time_series.times import calendar_features, calendar_names
from tfpar.tasks.time_series.windows import Windows, add_indicators


@dataclasses.dataclass(frozen=True, eq=False)
class ForecastData:
    """Windows of a panel: `input_length` steps, and the `horizon` steps after them, which are to be forecast.

    The steps to be forecast lie in the window's split; those before may lie in the split before, whose values are known
    when the forecast is made.

    Attributes:
        panel: the series.
        begin, end: int64 (3, series), first step of each split in each series, and the step after the last.
        input_length, horizon: steps of a window.
        split_rule: one sentence: how the splits came about.
        known: number of columns that are known ahead, the last ones.
    """

    panel: Panel
    begin: np.ndarray
    end: np.ndarray
    input_length: int
    horizon: int
    split_rule: str

    @property
    def name(self) -> str:
        return self.panel.where

    @property
    def notice(self) -> str:
        return self.panel.notice

    @property
    def targets(self) -> int:
        return self.panel.targets

    @property
    def known(self) -> int:
        return len(self.panel.columns) - self.panel.targets - self.panel.past - self.panel.statistics

    @property
    def input_steps(self) -> int:
        """Steps of the model's input: those of the future carry the columns that are known ahead."""
        return self.input_length + (self.horizon if self.known else 0)

    @functools.cached_property
    def has_indicators(self) -> bool:
        """Whether a value is missing."""
        return self.panel.has_missing

    @functools.cached_property
    def scaling(self) -> Scaling:
        """Mean and deviation of the columns but the statistics, in the training steps."""
        begin, end = self.begin[0], self.end[0]
        columns = self.panel.values[:, : self.panel.values.shape[1] - self.panel.statistics]
        if len(begin) == 1:
            return fit_scaling(columns[begin[0] : end[0]])
        is_training = np.zeros(len(columns), bool)
        for first, last in zip(begin, end, strict=True):
            is_training[first:last] = True
        if is_training.all():
            return fit_scaling(columns)
        values = make_rows(int(is_training.sum()), columns.shape[1])
        row = 0
        for start in range(0, len(is_training), ROWS):
            chosen = columns[start : start + ROWS][is_training[start : start + ROWS]]
            values[row : row + len(chosen)] = chosen
            row += len(chosen)
        return fit_scaling(values)

    def windows(self, split: str, history: int = 0) -> Windows:
        """Return the windows of a split.

        Args:
            split: one of SPLITS.
            history: steps before those to be forecast; 0: `input_length`.
        """
        index, history = SPLITS.index(split), history or self.input_length
        # Without a horizon a window is to be estimated itself, so it lies in its split as a whole.
        before = history if self.horizon else 0
        first = np.maximum(self.begin[index] - before, self.panel.offsets[:-1])
        count = np.maximum(0, self.end[index] - self.horizon - history - first + 1)
        return Windows(self.panel.values, first, count, self.end[index], history + self.horizon)

    def encode_whole(self, windows: np.ndarray) -> np.ndarray:
        """Return whole windows, with the values to be forecast, as the input of an autoregressive model's training."""
        return add_indicators(windows, self.has_indicators)

    def encode(self, windows: np.ndarray) -> np.ndarray:
        """Return the model's input for windows (rows, input_length + horizon or input_length, columns)."""
        inputs = np.array(windows[:, : self.input_steps])
        if self.known:
            inputs[:, self.input_length :, : self.panel.targets + self.panel.past] = np.nan
        return add_indicators(inputs, self.has_indicators)

    def truth(self, windows: np.ndarray) -> np.ndarray:
        """Return the values to be forecast of whole windows: float32 (rows, horizon, targets), NaN: missing."""
        return windows[:, -self.horizon :, : self.panel.targets]


def add_calendar(panel: Panel) -> Panel:
    """Return a panel with calendar features as columns that are known ahead; the same panel if it has no dates.

    Raises:
        UserError: a column has the name of a calendar feature.
    """
    names = calendar_names(panel.grid)
    if twice := set(names) & set(panel.columns):
        raise UserError(f"{panel.where}: --calendar adds a column {min(twice)!r}; rename the one in the file")
    if not names:
        return panel
    values = make_rows(len(panel.values), panel.values.shape[1] + len(names))
    for start in range(0, len(values), ROWS):
        rows = slice(start, start + ROWS)
        values[rows] = np.concatenate([panel.values[rows], calendar_features(panel.times[rows], names)], axis=1)
    return dataclasses.replace(panel, values=values, columns=(*panel.columns, *names), calendar=names)


def add_series_statistics(data: ForecastData) -> ForecastData:
    """Return data whose panel has mean and deviation of each target in the training steps of each series as columns.

    Raises:
        UserError: a series that has windows has no training steps.
    """
    panel, targets = data.panel, data.targets
    names = [f"{what} of {name}" for what in ("mean", "deviation") for name in panel.columns[:targets]]
    values = make_rows(len(panel.values), len(panel.columns) + len(names))
    has_windows = np.sum([data.windows(split).count for split in SPLITS], axis=0) > 0
    for series, (first, last) in enumerate(zip(panel.offsets[:-1], panel.offsets[1:], strict=True)):
        begin, end = data.begin[0, series], data.end[0, series]
        if has_windows[series] and end <= begin:
            raise UserError(
                f"{panel.where}: --scaling series needs training steps of each series, and {_describe(panel, series)} "
                "has none; use --scaling window"
            )
        scaling = fit_scaling(panel.values[begin:end, :targets])
        for start in range(first, last, ROWS):
            rows = slice(start, min(start + ROWS, last))
            values[rows, : len(panel.columns)] = panel.values[rows]
            values[rows, len(panel.columns) :] = (*scaling.mean, *scaling.deviation)
    columns = (*panel.columns, *names)
    return dataclasses.replace(
        data, panel=dataclasses.replace(panel, values=values, columns=columns, statistics=len(names))
    )


def split_panel(
    panel: Panel, input_length: int, horizon: int, split: str = "", by_series: bool = False
) -> ForecastData:
    """Split a panel into training, validation and test.

    Args:
        panel: the series.
        input_length, horizon: steps of a window.
        split: of steps, in order of time: three numbers of rows, or fractions that add up to 1, separated by commas;
            "": the source's own splits, or 0.7, 0.1 and 0.2.
        by_series: deal out whole series, by the md5 of their names, in these fractions.

    Raises:
        UserError: the numbers are not as required, splits of the source are not in order of time, or a split has no
            window.
    """
    if by_series:
        begin, end, rule = _deal_out_series(panel, split)
    elif not split and panel.splits is not None:
        begin, end, rule = _read_splits(panel)
    else:
        begin, end, rule = _cut(panel, split or "0.7,0.1,0.2", horizon)
    data = ForecastData(panel, begin, end, input_length, horizon, rule)
    _check_windows(data)
    _check_values(data)
    return data


def _parse(split: str) -> list[float]:
    try:
        sizes = [float(word) for word in split.split(",")]
    except ValueError:
        sizes = []
    is_fraction = all(0 <= size <= 1 for size in sizes) and abs(sum(sizes) - 1) < 1e-6
    is_rows = all(0 <= size < 2**53 and size == int(size) for size in sizes)
    if len(sizes) != len(SPLITS) or not (is_fraction or is_rows) or not sizes[0] or not sizes[2]:
        raise UserError(
            "--split must be three numbers of steps, such as 8640,2880,2880 for training, validation and test, or "
            f"three fractions that add up to 1; got {split!r}"
        )
    return sizes


def _cut(panel: Panel, split: str, horizon: int):
    sizes = np.array(_parse(split))
    lengths = panel.lengths
    if sizes.sum() <= 1 + 1e-6:
        held_out = np.maximum((lengths[None] * sizes[1:, None]).astype(np.int64), horizon * (sizes[1:, None] > 0))
        counts = np.concatenate([lengths[None] - held_out.sum(axis=0), held_out])
    else:
        counts = np.repeat(sizes.astype(np.int64)[:, None], len(lengths), axis=1)
        if (counts.sum(axis=0) > lengths).any():
            series = int(np.argmax(counts.sum(axis=0) > lengths))
            raise UserError(
                f"--split {split} needs {counts[:, series].sum():,} steps; {_describe(panel, series)} has "
                f"{lengths[series]:,}"
            )
    # A series that is too short for the held-out splits has no training steps; no split reaches into the next series.
    ends = np.minimum(panel.offsets[:-1] + np.cumsum(np.maximum(counts, 0), axis=0), panel.offsets[1:])
    begins = np.concatenate([panel.offsets[None, :-1], ends[:-1]])
    rule = f"by time, {split} of the steps for training, validation and test"
    if horizon:
        rule += "; inputs may reach into the split before"
    return begins, ends, rule


def _read_splits(panel: Panel):
    """Return the ranges of the source's splits, which must be in order of time within each series."""
    begin, end = np.zeros((3, len(panel.ids)), np.int64), np.zeros((3, len(panel.ids)), np.int64)
    assert panel.splits is not None
    for series, (first, last) in enumerate(zip(panel.offsets[:-1], panel.offsets[1:], strict=True)):
        splits = panel.splits[first:last]
        if (row := find_descent(splits)) is not None:
            raise UserError(
                f"{panel.where}: a {SPLITS[splits[row]]} step follows a {SPLITS[splits[row - 1]]} step in "
                f"{_describe(panel, series)}, so that training would see later steps; give training, validation and "
                "test in order of time"
            )
        begin[:, series] = first + np.searchsorted(splits, range(3), side="left")
        end[:, series] = first + np.searchsorted(splits, range(3), side="right")
    return begin, end, "as in the source, in order of time"


def _deal_out_series(panel: Panel, split: str):
    fractions = np.array(_parse(split or "0.7,0.1,0.2"))
    if fractions.sum() > 1 + 1e-6:
        raise UserError(f"--split must be fractions where --split_by is series; got {split!r}")
    order = sorted(range(len(panel.ids)), key=lambda row: hashlib.md5(panel.ids[row].encode()).hexdigest())
    ends = np.round(np.cumsum(fractions) * len(order)).astype(int)
    begin = np.repeat(panel.offsets[None, :-1], 3, axis=0)
    end = begin.copy()
    for index, (first, last) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        rows = order[first:last]
        end[index, rows] = panel.offsets[1:][rows]
    return begin, end, "by series: series sorted by the md5 of their names, dealt out as whole ones"


def _check_windows(data: ForecastData) -> None:
    panel, size = data.panel, data.input_length + data.horizon
    for split in ("train", "test"):
        if len(data.windows(split)):
            continue
        index = SPLITS.index(split)
        longest = int((data.end[index] - data.begin[index]).max())
        if split == "test" and longest < data.horizon:
            raise UserError(
                f"{panel.where}: --horizon {data.horizon} is longer than the test split of {longest} steps; lower it, "
                "or give the test split more steps by --split"
            )
        steps = f"{data.input_length} + {data.horizon} = {size}" if data.horizon else f"{size}"
        flags = "--input_length or --horizon" if data.horizon else "--input_length"
        raise UserError(
            f"{panel.where}: the {split} split has no window of {steps} steps: of {int(panel.lengths.max())} steps of "
            f"the longest series it has {max(0, longest)}; lower {flags}, or give it more steps by --split"
        )


def _check_values(data: ForecastData) -> None:
    """Refuse splits without a value: training and validation need one of each target, the test split of any."""
    panel = data.panel
    for index, split in enumerate(SPLITS):
        if not len(data.windows(split)):
            continue
        has_value = np.zeros(panel.targets, bool)
        for first, last in zip(data.begin[index], data.end[index], strict=True):
            for start in range(first, last, ROWS):
                has_value |= (~np.isnan(panel.values[start : min(start + ROWS, last), : panel.targets])).any(axis=0)
            if has_value.all():
                break
        if not (has_value.any() if split == "test" else has_value.all()):
            name = panel.columns[int(np.argmin(has_value))]
            raise UserError(
                f"{panel.where}: all values of the column {name!r} are missing in the {split} split; remove it from "
                "--target_columns, or move the split by --split"
            )


def check_counts(data: ForecastData) -> None:
    """Raise UserError if a target is not a count."""
    panel = data.panel
    for start in range(0, len(panel.values), ROWS):
        values = panel.values[start : start + ROWS, : panel.targets]
        is_count = np.isnan(values) | ((values >= 0) & (values == np.round(values)))
        if not is_count.all():
            row, column = np.argwhere(~is_count)[0]
            raise UserError(
                f"{panel.where}: --distribution negative_binomial needs counts, whole numbers from 0; got "
                f"{values[row, column]:g} in the column {panel.columns[column]!r}; use student_t"
            )


def _describe(panel: Panel, series: int) -> str:
    return f"series {panel.ids[series]!r}" if len(panel.ids) > 1 else "the series"
