"""`Windows`: windows of series as indices into the series, and their batches."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tfpar.data.batching.bucketing import make_row_table
from tfpar.data.batching.stream import as_dataset
from tfpar.errors import UserError

_PERMUTED_AT_MOST = 1 << 22  # windows whose order is drawn as a permutation in memory


@dataclasses.dataclass(frozen=True, eq=False)
class Windows:
    """Windows of one size; only the rows of a batch are ever copied.

    Attributes:
        values: float32 (steps of all series, columns); NaN: missing. It may be mapped from a file.
        first: int64 (series,), row at which the first window of each series starts.
        count: int64 (series,), number of windows of each series.
        end: int64 (series,), row after the last one of each series.
        size: steps of a window; steps after the end of a series are NaN.
        stride: steps between the starts of two windows.
    """

    values: np.ndarray
    first: np.ndarray
    count: np.ndarray
    end: np.ndarray
    size: int
    stride: int = 1

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self.count) else 0

    @functools.cached_property
    def _ends(self):
        return np.cumsum(self.count)

    def find(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the series and the first row of windows; int64 (windows,) each."""
        series = np.searchsorted(self._ends, indices, side="right")
        return series, self.first[series] + (indices - self._ends[series] + self.count[series]) * self.stride

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """Copy windows: float32 (windows, size, columns)."""
        series, start = self.find(np.asarray(indices, np.int64))
        rows = start[:, None] + np.arange(self.size)
        is_outside = rows >= self.end[series][:, None]
        windows = np.asarray(self.values[np.minimum(rows, len(self.values) - 1)], np.float32)
        windows[is_outside] = np.nan
        return windows


def whole_series(values: np.ndarray, offsets: np.ndarray, size: int) -> Windows:
    """Make one window of each series, from its first step.

    Args:
        values, offsets: see `tfpar.tasks.time_series.labeled.LabeledSeries`.
        size: steps of each window; shorter series end in NaN.
    """
    return Windows(values, offsets[:-1], np.ones(len(offsets) - 1, np.int64), offsets[1:], size)


def add_indicators(windows: np.ndarray, has_indicators: bool) -> np.ndarray:
    """Replace missing values by zeros and, if `has_indicators`, append an indicator for each column: 1 if observed.

    Args:
        windows: float (..., columns).

    Returns:
        float32 (..., columns), or (..., 2 * columns).
    """
    observed = ~np.isnan(windows)
    values = np.where(observed, windows, 0).astype(np.float32)
    return np.concatenate([values, observed.astype(np.float32)], axis=-1) if has_indicators else values


def window_batches(
    windows: Windows,
    make_rows: Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]],
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    *,
    batch_size: int,
    shuffle: bool,
    seed: int = 0,
    replicas: int = 1,
    first_epoch: int = 0,
    at_most: int = 0,
    passes: int = 1,
    target_dtype: str = "float32",
) -> Any:
    """Feed windows as a tf.data.Dataset of known cardinality.

    Every batch has `batch_size` rows; filling rows have weight 0. Each new iterator is the next epoch; its order
    depends on `seed` and its number alone, not on how many replicas share the batches.

    Args:
        windows: the windows; one at least.
        make_rows: from int64 indices (rows,), and the number of batches before, to inputs and targets (rows, ...).
        shapes: of one row of inputs and of targets.
        batch_size: rows per batch over all replicas.
        shuffle: order the windows anew in each epoch.
        seed: of the order; 0 or more.
        replicas: `batch_size` must be a multiple of it.
        first_epoch: number of the first iterator's epoch, to resume after a restart.
        at_most: windows of a pass, which differ from pass to pass; 0: all.
        passes: of an epoch over the windows, each in its own order.
        target_dtype: of the targets.

    Returns:
        Dataset of (inputs float32, targets, weights float32 (batch,)).

    Raises:
        UserError: `batch_size` is not a multiple of `replicas`, or not positive.
    """
    if replicas < 1 or batch_size < 1 or batch_size % replicas:
        raise UserError(
            f"`batch_size` is over all replicas and must be a positive multiple of their number; got "
            f"batch_size={batch_size}, replicas={replicas}"
        )
    rows = min(len(windows), at_most or len(windows))
    batches = passes * -(-rows // batch_size)
    epochs = iter(range(first_epoch, np.iinfo(np.int32).max))

    def next_plan():
        epoch = next(epochs)
        plan = []
        for number in range(epoch * passes, (epoch + 1) * passes):
            order = shuffle_windows(len(windows), rows, [seed, number]) if shuffle else np.arange(rows)
            plan += [(0, order[begin : begin + batch_size]) for begin in range(0, rows, batch_size)]
        numbers = epoch * batches + np.arange(batches, dtype=np.int32)
        return numbers, make_row_table(plan, batch_size)

    return as_dataset(next_plan, _make_batch_function(make_rows, shapes, batch_size, target_dtype), batches, batch_size)


def _make_batch_function(make_rows, shapes, batch_size, target_dtype):
    import tensorflow as tf

    def gather(number, rows):
        inputs, targets = make_rows(np.maximum(rows, 0), int(number))
        return inputs.astype(np.float32), targets.astype(target_dtype), (rows >= 0).astype(np.float32)

    def make(number, rows):
        inputs, targets, weights = tf.numpy_function(gather, [number, rows], ("float32", target_dtype, "float32"))
        return (
            tf.ensure_shape(inputs, (batch_size, *shapes[0])),
            tf.ensure_shape(targets, (batch_size, *shapes[1])),
            tf.ensure_shape(weights, (batch_size,)),
        )

    return make


def shuffle_windows(count: int, chosen: int, seed: list[int]) -> np.ndarray:
    """Draw windows without repetition, in random order: int64 (chosen,) below `count`.

    Of very many windows the order is an affine map modulo `count`, which needs no memory for those not chosen.
    """
    generator = np.random.default_rng(seed)
    if count <= _PERMUTED_AT_MOST:
        return generator.permutation(count)[:chosen]
    factor = int(generator.integers(count // 4, count // 2)) | 1
    while np.gcd(factor, count) > 1:
        factor += 2
    shift = int(generator.integers(count))
    numbers = generator.permutation(chosen)
    return np.array([(factor * int(number) + shift) % count for number in numbers], np.int64)
