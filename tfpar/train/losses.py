"""What a loss weighs, so that means over parts of a batch add up to the mean over the batch.

A loss l_i with the mean over the batch, sum_i / weight_i, splits over parts p into

    sum over p of (weight_i[p] / weight_i) * mean_i[p]

where a part's weight is the number of its rows or, if the model masks some, of its valid steps; with the reduction
"mean_with_sample_weight" it is the sum of its sample weights. With a single loss it is enough to know the sum of the
weights when the gradients have been added up. Several losses may be masked in different ways, so each needs its own sum
before the backward pass: `BatchWeights`.
"""

import contextlib
import contextvars
from typing import NamedTuple

import keras
import tensorflow as tf

from tfpar.contexts import variable_set
from tfpar.keras_private import flat_losses, get_mask, losses_replaced, mask_weights, without_strategy
from tfpar.train.batch_losses import LossArguments, loss_of_own_rows
from tfpar.train.sharding import row_count

_batch_weights = contextvars.ContextVar("batch_weights", default=None)


class BatchWeights(NamedTuple):
    """Attributes:
    losses: float32 (losses,), weight of each loss over the whole batch.
    rows: float32 scalar, rows of the whole batch.
    parts: how many parts it has.
    arguments: for each loss `LossArguments` of the whole batch, if it does not split, or None.
    """

    losses: tf.Tensor
    rows: tf.Tensor
    parts: int
    arguments: list = []


class ShareLoss(NamedTuple):
    """Attributes:
    value: float scalar, the share's mean loss; of several, their weighted sum.
    weight: float32 scalar, what the value weighs among those of other shares and other batches.
    weights: float32 (losses,), of each loss.
    arguments: for each loss `LossArguments` of the share.
    """

    value: tf.Tensor
    weight: tf.Tensor
    weights: list[tf.Tensor]
    arguments: list


def part_of_batch(weights: BatchWeights | None):
    """Within this context losses are those of a part of a batch with these weights; None: of a whole batch."""
    return variable_set(_batch_weights, weights)


def needs_batch_weights(compile_loss) -> bool:
    """Whether the parts of a batch must know its `BatchWeights`: there are several losses, or a sum."""
    losses = flat_losses(compile_loss)
    return len(losses) > 1 or any(_is_sum(loss) for loss in losses)


def share_loss(compute_loss, compile_loss, x) -> ShareLoss:
    """Computes a share's loss as one device would.

    Args:
        compute_loss: function without arguments: the loss, by `compile_loss` or otherwise.
        compile_loss: Keras' container of the losses, or None.
        x: the share's inputs, a nest of tensors (rows, ...).
    """
    batch = _batch_weights.get()
    noted = []
    # Keras divides losses by the strategy's number of replicas.
    with without_strategy(), _noting(compile_loss, noted, batch):
        value = compute_loss()
    for metric, (mean, weight, _) in zip(compile_loss.metrics if compile_loss else (), noted, strict=False):
        metric.update_state(mean, sample_weight=weight)
    rows = _rows(x)
    if batch is None:
        value = _zero_without_rows(value, x)
    weights, arguments = [weight for _, weight, _ in noted], [arguments for *_, arguments in noted]
    if batch is not None:
        weight = batch.rows / batch.parts
    else:
        weight = weights[0] if len(weights) == 1 and not needs_batch_weights(compile_loss) else rows
    return ShareLoss(value, weight, [*weights, rows], arguments)


def loss_weight(loss: keras.losses.Loss, y_true, y_pred, sample_weight) -> tf.Tensor:
    """What the mean of a loss weighs: see above. float32 scalar."""
    if type(loss).__call__ is not keras.losses.Loss.__call__:
        return _rows(y_pred)  # it reduces in a way of its own
    mask = get_mask(y_pred)
    y_true, y_pred = (
        keras.tree.map_structure(lambda t: keras.ops.convert_to_tensor(t, loss.dtype), t) for t in (y_true, y_pred)
    )
    # A loss may hide values, such as a class to be ignored; only its mask is used here, and only that is computed.
    hidden = get_mask(loss.call(y_true, y_pred))
    if hidden is not None:
        mask = hidden if mask is None else tf.cast(mask, tf.bool) & tf.cast(hidden, tf.bool)
    if loss.reduction == "mean_with_sample_weight" and sample_weight is not None:
        weights = mask_weights(tf.cast(sample_weight, tf.float32), mask, loss.reduction)
        return tf.reduce_sum(weights)
    return _rows(y_pred) if mask is None else tf.reduce_sum(tf.cast(mask, tf.float32))


@contextlib.contextmanager
def _noting(compile_loss, noted, batch):
    """Within this context each loss notes its mean and its weight, and counts as its part of the batch demands."""
    if not flat_losses(compile_loss):
        yield
        return

    def noting(place, loss):
        def note(y_true, y_pred, sample_weight=None):
            arguments = LossArguments(y_true, y_pred, sample_weight, get_mask(y_pred))
            if batch is not None and batch.arguments[place] is not None:
                value = loss_of_own_rows(loss, arguments, batch.arguments[place], batch.parts)
                noted.append((value, batch.rows / batch.parts, arguments))
                return value
            value, weight = loss(y_true, y_pred, sample_weight), loss_weight(loss, y_true, y_pred, sample_weight)
            value = _zero_without_rows(value, y_pred)
            if batch is None:
                noted.append((value, weight, arguments))
                return value
            if _is_sum(loss):
                noted.append((value * batch.parts, batch.rows / batch.parts, arguments))
                return value * batch.parts
            noted.append((value, weight, arguments))
            share = tf.math.divide_no_nan(batch.parts * weight, batch.losses[place])
            return value * tf.cast(share, value.dtype)

        return note

    # Keras weighs the mean of each loss by its static number of rows, so `share_loss` updates these metrics instead.
    with losses_replaced(compile_loss, [noting(*pair) for pair in enumerate(flat_losses(compile_loss))]):
        yield


def _is_sum(loss) -> bool:
    return getattr(loss, "reduction", None) in ("sum", "none", None)


def _rows(nest) -> tf.Tensor:
    return tf.cast(row_count(nest), tf.float32)


def _zero_without_rows(value, nest):
    """`value`, or zero where the nest has no rows: their mean is not a number."""
    rows = row_count(nest)
    if isinstance(rows, int):
        if rows:
            return value
        value = tf.reduce_sum(value)  # Keras does not reduce what has no rows
    return tf.where(tf.equal(rows, 0), tf.zeros_like(value), value)
