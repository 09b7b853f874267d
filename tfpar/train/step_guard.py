"""Counts skipped steps within a step, and saves their batches."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfpar import keras_private
from tfpar.files import written_atomically
from tfpar.train.accumulation import innermost
from tfpar.train.scaled_schedule import ScaledSchedule
from tfpar.train.types import Nest

_MOST_SAVED = 3


class StepGuard:
    """Counters of skipped steps, which the step itself updates.

    Args:
        model: `tfpar.train.Model`, compiled. Until `restore_schedule`, its learning-rate schedule is multiplied by
            `scale`.
        directory: for batches of skipped steps; None: they are not saved.

    Attributes:
        skipped: number of skipped steps, int32 scalar.
        in_a_row: number of those since the last step that was not skipped, int32 scalar.
        scale: factor of the schedule, float32 scalar.
        schedule: of the optimizer; None: its learning rate is a variable.
        saved: paths of the batches that were saved.
    """

    def __init__(self, model: keras.Model, directory: Path | None):
        with model.distribute_strategy.scope():
            self.skipped = keras.Variable(0, dtype="int32", trainable=False, name="skipped_steps")
            self.in_a_row = keras.Variable(0, dtype="int32", trainable=False, name="skipped_steps_in_a_row")
            self.scale = keras.Variable(1.0, dtype="float32", trainable=False, name="learning_rate_scale")
        self.directory = directory
        self.saved: list[Path] = []
        self._optimizer = innermost(model.optimizer)
        self.schedule = keras_private.learning_rate_schedule(self._optimizer)
        if self.schedule is not None:
            self._optimizer.learning_rate = ScaledSchedule(self.schedule, self.scale)

    def restore_schedule(self) -> None:
        """Give the optimizer its own schedule again."""
        if self.schedule is not None:
            self._optimizer.learning_rate = self.schedule

    @property
    def variables(self) -> list[keras.Variable]:
        """All variables, which a step reads and writes."""
        return [self.skipped, self.in_a_row, self.scale]

    def count(self, is_finite: tf.Tensor) -> None:
        """Count a step; called in a replica."""
        self.skipped.assign(self.skipped + tf.where(is_finite, 0, 1))
        self.in_a_row.assign(tf.where(is_finite, 0, self.in_a_row + 1))

    def save_if_skipped(self, is_finite: tf.Tensor, shard: Nest) -> None:
        """Save this replica's rows of a batch unless the step was finite; called in a replica."""
        strategy = tf.distribute.get_strategy()
        if self.directory is None or isinstance(strategy, tf.distribute.TPUStrategy):
            return
        replica: Any = tf.distribute.get_replica_context().replica_id_in_sync_group
        leaves = [leaf for leaf in tf.nest.flatten(shard, expand_composites=True) if tf.is_tensor(leaf)]

        def save():
            tf.numpy_function(self._save, [replica, *leaves], [])
            return False

        tf.cond(is_finite, lambda: True, save)

    def _save(self, replica, *arrays):
        """Write arrays in the order of the batch: x, y and weights."""
        mine = [path for path in self.saved if path.stem.endswith(f"replica-{replica}")]
        if len(mine) >= _MOST_SAVED or self.directory is None:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"skipped-batch-{len(mine) + 1}-replica-{replica}.npz"
        with written_atomically(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, *(array.astype(bytes) if array.dtype == object else array for array in arrays))
        self.saved.append(path)
