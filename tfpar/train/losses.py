"""Loss weights for microbatches, so that per-microbatch means combine into the full-batch mean.

A loss l_i with the mean over the batch, sum_i / weight_i, splits over microbatches m into

    sum over m of (weight_i[m] / weight_i) * mean_i[m]

where a microbatch's weight is its number of rows or, if the model masks some, of valid steps; with the reduction
"mean_with_sample_weight" it is the sum of its sample weights. With a single loss it is enough to know the sum of the
weights when the gradients have been added. Several losses may be masked in different ways, so each needs its own sum
before the backward pass: `BatchLossWeights`.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfpar import keras_private
from tfpar.tensorflow_private import without_strategy
from tfpar.train.batch_losses import LossArguments, batch_loss_by_own_rows
from tfpar.train.sequence_losses import check_loss
from tfpar.train.sharding import row_count
from tfpar.train.step_context import current_step
from tfpar.train.types import Nest


class BatchLossWeights(NamedTuple):
    """Weights of the losses over the global batch.

    Attributes:
        losses: float32 (losses,), weight of each loss.
        rows: float32 scalar.
        microbatches: number of microbatches of the batch.
        arguments: for each loss that does not split by rows its `LossArguments` of the global batch; else None.
    """

    losses: tf.Tensor
    rows: tf.Tensor
    microbatches: int
    arguments: list = []


class MicrobatchLoss(NamedTuple):
    """Mean loss of a microbatch and its weights.

    Attributes:
        value: float scalar, the mean loss; with several losses their weighted sum.
        weight: float32 scalar, of the value among those of other microbatches and other batches.
        weights: float32 scalars, of each loss; the last is the number of rows.
        arguments: for each loss its `LossArguments`.
    """

    value: tf.Tensor
    weight: tf.Tensor
    weights: list[tf.Tensor]
    arguments: list


class _Record(NamedTuple):
    """One call of a loss: its mean over the microbatch, the weight of the mean, and the arguments."""

    mean: tf.Tensor
    weight: tf.Tensor
    arguments: LossArguments


def needs_batch_weights(container: object | None) -> bool:
    """Return whether microbatches must know their `BatchLossWeights`: there are several losses, or a sum.

    Args:
        container: Keras' container of the losses, or None.
    """
    losses = keras_private.flat_losses(container)
    return len(losses) > 1 or any(_is_sum(loss) for loss in losses)


def compute_model_loss(
    model: keras.Model, x: Nest, y: Nest, sample_weight: Nest, training: bool
) -> tuple[MicrobatchLoss, Nest]:
    """Compute the loss of a microbatch, and the model's outputs.

    Args:
        model: compiled `tfpar.train.Model`.
        x, y, sample_weight: nests of tensors (rows, ...); the latter two may be None.
        training: whether to run the model as in training.
    """
    y_pred = model(x, training=training) if keras_private.call_has_training_argument(model) else model(x)
    if (shard := current_step().sequence_shard) is not None:
        y_pred = shard.cut_outputs(y_pred)
    compute_loss = functools.partial(keras_private.compute_loss, model, x, y, y_pred, sample_weight, training)
    return compute_microbatch_loss(compute_loss, keras_private.compiled_loss(model), x), y_pred


def compute_microbatch_loss(compute_loss: Callable[[], tf.Tensor], container: Any, x: Nest) -> MicrobatchLoss:
    """Compute a microbatch's loss as one device would.

    Args:
        compute_loss: function without arguments: the loss, by `container` or otherwise.
        container: Keras' container of the losses, or None.
        x: the microbatch's inputs, a nest of tensors (rows, ...).
    """
    batch = current_step().loss_weights
    records: list[_Record] = []
    # Keras divides losses by the strategy's number of replicas.
    with without_strategy(), _recorded(container, records, batch):
        value = compute_loss()
    for metric, record in zip(container.metrics if container else (), records, strict=False):
        metric.update_state(record.mean, sample_weight=record.weight)
    rows, weights = _rows(x), [record.weight for record in records]
    if batch is not None:
        weight = batch.rows / batch.microbatches
    else:
        value = _zero_without_rows(value, x)
        weight = weights[0] if len(weights) == 1 and not needs_batch_weights(container) else rows
    return MicrobatchLoss(value, weight, [*weights, rows], [record.arguments for record in records])


def loss_weight(loss: keras.losses.Loss, y_true: Nest, y_pred: Nest, sample_weight: tf.Tensor | None) -> tf.Tensor:
    """Compute the weight of a loss's mean over a microbatch, float32 scalar: see the module."""
    if type(loss).__call__ is not keras.losses.Loss.__call__:
        return _rows(y_pred)  # it reduces in a way of its own
    mask = keras_private.get_mask(y_pred)
    y_true, y_pred = (
        keras.tree.map_structure(lambda t: keras.ops.convert_to_tensor(t, loss.dtype), t) for t in (y_true, y_pred)
    )
    # A loss may mask values, such as an ignored class; only its mask is used here, and only that is computed.
    own_mask = keras_private.get_mask(loss.call(y_true, y_pred))
    if own_mask is not None:
        mask = own_mask if mask is None else tf.cast(mask, tf.bool) & tf.cast(own_mask, tf.bool)
    if loss.reduction == "mean_with_sample_weight" and sample_weight is not None:
        return tf.reduce_sum(keras_private.mask_weights(tf.cast(sample_weight, tf.float32), mask, loss.reduction))
    return _rows_of_steps(y_pred) if mask is None else tf.reduce_sum(tf.cast(mask, tf.float32))


@contextlib.contextmanager
def _recorded(container, records: list[_Record], batch: BatchLossWeights | None) -> Iterator[None]:
    """Within this context each loss records its calls, and is scaled by its weight in the batch."""
    losses = keras_private.flat_losses(container)
    if not losses:
        yield
        return
    # Keras weighs the mean of each loss by its static number of rows, so its metric is updated from the record.
    replacements = [functools.partial(_call_and_record, records, batch, *pair) for pair in enumerate(losses)]
    with keras_private.losses_replaced(container, replacements):
        yield


def _call_and_record(records, batch, index, loss, y_true, y_pred, sample_weight=None) -> tf.Tensor:
    """Call the loss of this index, append its `_Record`, and return its term of the batch's loss."""
    arguments = LossArguments(y_true, y_pred, sample_weight, keras_private.get_mask(y_pred))
    if (shard := current_step().sequence_shard) is not None:
        check_loss(loss, arguments, shard)
    if batch is not None and batch.arguments and batch.arguments[index] is not None:
        value = batch_loss_by_own_rows(loss, arguments, batch.arguments[index], batch.microbatches)
        records.append(_Record(value, batch.rows / batch.microbatches, arguments))
        return value
    value, weight = loss(y_true, y_pred, sample_weight), loss_weight(loss, y_true, y_pred, sample_weight)
    value = _zero_without_rows(value, y_pred)
    if batch is None:
        records.append(_Record(value, weight, arguments))
        return value
    if _is_sum(loss):
        value = value * batch.microbatches
        records.append(_Record(value, batch.rows / batch.microbatches, arguments))
        return value
    records.append(_Record(value, weight, arguments))
    return value * tf.cast(tf.math.divide_no_nan(batch.microbatches * weight, batch.losses[index]), value.dtype)


def _is_sum(loss) -> bool:
    return getattr(loss, "reduction", None) in ("sum", "none", None)


def _rows(nest) -> tf.Tensor:
    return tf.cast(row_count(nest), tf.float32)


def _rows_of_steps(y_pred) -> tf.Tensor:
    """Return the rows of outputs; if replicas divide their time axis, of which this one has a fraction of the steps."""
    shard = current_step().sequence_shard
    return _rows(y_pred) if shard is None else _rows(y_pred) * shard.fraction(y_pred)


def _zero_without_rows(value, nest):
    """Return `value`, or zero if the nest has no rows: their mean is NaN."""
    rows = row_count(nest)
    if isinstance(rows, int):
        if rows:
            return value
        value = tf.reduce_sum(value)  # Keras does not reduce a tensor without rows
    return tf.where(tf.equal(rows, 0), tf.zeros_like(value), value)
