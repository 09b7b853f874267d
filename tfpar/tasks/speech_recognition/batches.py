"""Batches of clips: shuffled, placed and distorted for training; in the middle of their rows for all else."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfpar.data.batching.bucketing import make_row_table, plan_epoch
from tfpar.data.batching.stream import as_dataset
from tfpar.tasks.speech_recognition.clips import SPEEDS, Clips


def speech_batches(
    clips: Clips,
    *,
    batch_size: int,
    seed: int = 0,
    shuffle: bool = False,
    distortions: Sequence[Any] | None = None,
    boundaries: Sequence[int] = (),
    first_epoch: int = 0,
    **positioning: Any,
) -> Any:
    """Make batches of raw audio.

    Args:
        clips: of one split.
        batch_size: rows of each batch. The last one, of each boundary, is filled up with rows of weight zero.
        seed: of the order and of what is drawn; equal seeds make equal batches.
        shuffle: in a new order for each epoch.
        distortions: None for clips as they are, in the middle of their rows; else steps of
            `tfpar.tasks.speech_recognition.augment`, behind a random placement.
        boundaries: samples that batches are cut to, each the shortest that holds its clips, slowed down too if there
            are distortions; ascending, the last one that of the clips' rows. Empty: all are as long as these.
        first_epoch: the first iteration is of this epoch.
        **positioning: arguments of `position_clips`.

    Returns:
        Dataset of (audio float32 (batch, samples), labels int32 (batch, ...), weights float32 (batch,)), of known
        cardinality; each new iterator is a new epoch.
    """
    import tensorflow as tf

    from tfpar.tasks.speech_recognition.augment import augment_batches, position_clips

    boundaries = tuple(boundaries) or (clips.audio.shape[1],)
    audio, lengths, labels = (tf.constant(array) for array in (clips.audio, clips.lengths, clips.labels))
    row_samples = count_row_samples(clips, distortions is not None, positioning.get("speed", SPEEDS))
    next_plan = _Plans(row_samples, boundaries, batch_size, seed, shuffle, first_epoch)

    def gather(planned, rows):
        number, samples = planned // len(boundaries), tf.gather(boundaries, planned % len(boundaries))
        clip_rows = tf.maximum(rows, 0)
        rows_audio = tf.cast(tf.gather(audio, clip_rows)[:, :samples], tf.float32) / 32768
        if distortions is None:
            rows_audio = _center(rows_audio, tf.gather(lengths, clip_rows))
        else:
            position_seed = tf.stack([tf.constant(seed, tf.int32), number])
            rows_audio = position_clips(rows_audio, tf.gather(lengths, clip_rows), position_seed, **positioning)
        rows_audio = tf.ensure_shape(rows_audio, [batch_size, boundaries[0] if len(boundaries) == 1 else None])
        return number, rows_audio, tf.gather(labels, clip_rows), tf.cast(rows >= 0, tf.float32)

    distort = functools.partial(augment_batches, steps=distortions or (), seed=seed + 1)
    return as_dataset(next_plan, gather, next_plan.batches, batch_size, distort)


def count_row_samples(clips: Clips, distorted: bool = False, speed: tuple[float, float] = SPEEDS) -> np.ndarray:
    """Return the samples that each clip needs, int (clips,); if distorted, at the slowest `speed`."""
    if not distorted:
        return clips.lengths
    return np.minimum(np.ceil(clips.lengths / min(1.0, speed[0])).astype(np.int64), clips.audio.shape[1])


def _center(audio, lengths):
    """Center the clips of a batch in their rows, as `Clips.center` does."""
    import tensorflow as tf

    samples = tf.shape(audio)[1]
    indices = (tf.range(samples) - (samples - lengths[:, None]) // 2) % samples
    return tf.gather(audio, indices, batch_dims=1)


class _Plans:
    """Plans of epochs for `as_dataset`: number and boundary of each batch, in one integer, and its rows."""

    def __init__(self, lengths, boundaries, batch_size, seed, shuffle, first_epoch):
        self._lengths, self._boundaries, self._batch_size = lengths, boundaries, batch_size
        self._seed, self._shuffle, self._epoch = seed, shuffle, first_epoch
        self.batches = len(plan_epoch(lengths, boundaries, batch_size))

    def __call__(self):
        rng = np.random.default_rng([self._seed, self._epoch]) if self._shuffle else None
        plan = plan_epoch(self._lengths, self._boundaries, self._batch_size, rng)
        numbers = self._epoch * self.batches + np.arange(self.batches)
        self._epoch += 1
        indices = np.searchsorted(self._boundaries, [boundary for boundary, _ in plan])
        planned = numbers * len(self._boundaries) + indices
        return planned.astype(np.int32), make_row_table(plan, self._batch_size)
