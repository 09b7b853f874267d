"""Facts about the global batch that a step reads, in one context variable.

| field | set by | read by |
|---|---|---|
| `global_rows` | `sharding.ShardedStrategy.run` | `batch_losses.gather_arguments` |
| `has_even_shards` | `sharding.ShardedStrategy.run` | `step.train_step` |
| `fingerprint` | `sharding.ShardedStrategy.run` | `sharding.fingerprint_terms` |
| `sequence_shard` | `sequence_sharding.SequenceStrategy.run` | `losses`, `loss_weights`, `xla_policy` |
| `loss_weights` | `step.train_step`, `evaluation.evaluate_step` | `losses.compute_microbatch_loss` |
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
from typing import TYPE_CHECKING

import tensorflow as tf

from tfpar.contexts import variable_set

if TYPE_CHECKING:
    from tfpar.train.losses import BatchLossWeights
    from tfpar.train.sequence_sharding import SequenceShard


@dataclasses.dataclass(frozen=True)
class StepContext:
    """Facts about the global batch of a step.

    Attributes:
        global_rows: rows of the global batch, an int or an int32 scalar; None if TensorFlow distributed the dataset.
        has_even_shards: whether all replicas are known to have equally many rows.
        fingerprint: float32 scalar that distinguishes global batches; None if all replicas are in one process.
        loss_weights: of the global batch; None if the losses are those of a whole batch.
        sequence_shard: cuts tensors where replicas divide the time axis instead of the rows; else None.
    """

    global_rows: int | tf.Tensor | None = None
    has_even_shards: bool = False
    fingerprint: tf.Tensor | None = None
    loss_weights: BatchLossWeights | None = None
    sequence_shard: SequenceShard | None = None

    @property
    def has_even_shards_on_workers(self) -> bool:
        """Whether replicas in several processes are known to have equally many rows."""
        return self.has_even_shards and self.fingerprint is not None


_step = contextvars.ContextVar("step_context", default=StepContext())  # noqa: B039 - it is immutable


def current_step() -> StepContext:
    """Return the context of the step that runs here."""
    return _step.get()


def step_context(**fields) -> contextlib.AbstractContextManager[None]:
    """Make a context within which `current_step()` has these fields, and its other fields unchanged."""
    return variable_set(_step, dataclasses.replace(_step.get(), **fields))
