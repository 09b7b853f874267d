"""Batches of clips: shuffled, placed and distorted for training; in the middle of their rows for all else."""

import functools

import numpy as np

from tfpar.data.batch_stream import as_dataset
from tfpar.data.clips import Clips


def speech_batches(
    clips: Clips,
    *,
    batch_size: int,
    seed: int = 0,
    shuffle: bool = False,
    distortions=None,
    first_epoch: int = 0,
    **placing,
):
    """Makes batches of raw audio.

    Args:
        clips: of one split.
        batch_size: rows of each batch. The last one is filled up with rows of weight zero.
        seed: of the order and of what is drawn; equal seeds make equal batches.
        shuffle: in a new order for each epoch.
        distortions: None for clips as they are, in the middle of their rows; else steps of
            `tfpar.data.audio_augmentation`, behind a random placement.
        first_epoch: the first iteration is of this epoch.
        **placing: arguments of `placed`.

    Returns:
        Dataset of (audio float32 (batch, samples), labels int32 (batch, ...), weights float32 (batch,)), of known
        cardinality; each new iterator is a new epoch.
    """
    import tensorflow as tf

    from tfpar.data.audio_augmentation import augmented, placed

    batches = -(-len(clips) // batch_size)
    source = clips.audio if distortions is not None else (clips.centred() * 32768).astype(np.int16)
    audio, lengths, labels = (tf.constant(array) for array in (source, clips.lengths, clips.labels))
    next_plan = _Plans(len(clips), batches, batch_size, seed, shuffle, first_epoch)

    def gather(number, rows):
        kept = tf.maximum(rows, 0)
        rows_audio = tf.cast(tf.gather(audio, kept), tf.float32) / 32768
        if distortions is not None:
            place_seed = tf.stack([tf.constant(seed, tf.int32), number])
            rows_audio = placed(rows_audio, tf.gather(lengths, kept), place_seed, **placing)
        rows_audio = tf.ensure_shape(rows_audio, [batch_size, clips.audio.shape[1]])
        return number, rows_audio, tf.gather(labels, kept), tf.cast(rows >= 0, tf.float32)

    distort = functools.partial(augmented, steps=distortions or (), seed=seed + 1)
    return as_dataset(next_plan, gather, batches, batch_size, distort)


class _Plans:
    """What `as_dataset` asks for at each epoch's begin: numbers of batches, and their rows; -1 fills up."""

    def __init__(self, examples, batches, batch_size, seed, shuffle, first_epoch):
        self._examples, self._batches, self._batch_size = examples, batches, batch_size
        self._seed, self._shuffle, self._epoch = seed, shuffle, first_epoch

    def __call__(self):
        order = np.arange(self._examples)
        if self._shuffle:
            np.random.default_rng([self._seed, self._epoch]).shuffle(order)
        rows = np.full(self._batches * self._batch_size, -1, np.int64)
        rows[: self._examples] = order
        numbers = self._epoch * self._batches + np.arange(self._batches, dtype=np.int32)
        self._epoch += 1
        return numbers.astype(np.int32), rows.reshape(self._batches, self._batch_size)
