"""Losses of a whole batch, which are no mean over its rows: the root of a mean, a correlation, pairs of rows.

The outputs for all rows are gathered before the backward pass, by one more forward pass. Then each part of the batch
computes the loss of all rows and differentiates it by its own, and the gradients of the parts add up to that of the
batch.
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfpar.keras_private import is_loss_of_keras, set_mask
from tfpar.layers.dropout import first_row
from tfpar.train.all_reduce import all_reduce_sum
from tfpar.train.sharding import row_count, this_share

_ROWS_TRIED, _STEPS_TRIED = 4, 3
_OF_ROWS_IN_PAIRS = (keras.losses.Circle,)
_OF_WHOLE_BATCHES_BY_AXIS = (keras.losses.Dice, keras.losses.Tversky)


class LossArguments(NamedTuple):
    """What one loss is called with.

    Attributes:
        y_true, y_pred: nests of tensors (rows, ...).
        sample_weight: tensor (rows, ...) or None.
        mask: Keras' mask of `y_pred`, or None.
    """

    y_true: object
    y_pred: object
    sample_weight: tf.Tensor | None
    mask: tf.Tensor | None


def splits_by_rows(loss, arguments: LossArguments | None = None) -> bool | None:
    """Whether a loss is a mean, or sum, of values of single rows.

    Args:
        loss: a Keras loss.
        arguments: with an unknown number of rows; they decide what the class of the loss does not tell.

    Returns:
        None if it cannot be told without `arguments`.
    """
    if type(loss).__call__ is not keras.losses.Loss.__call__ or isinstance(loss, _OF_ROWS_IN_PAIRS):
        return False
    code = getattr(loss, "fn", None) or type(loss)
    if _is_known_code(code) and not isinstance(loss, _OF_WHOLE_BATCHES_BY_AXIS):
        return True
    if arguments is None:
        return None
    y_true, y_pred = (
        keras.tree.map_structure(lambda t: keras.ops.convert_to_tensor(t, loss.dtype), t) for t in arguments[:2]
    )
    shape = tf.convert_to_tensor(loss.call(y_true, y_pred)).shape
    return bool(shape.rank) and shape[0] is None and not _reads_other_rows(loss, y_true, y_pred)


def _is_known_code(code) -> bool:
    return is_loss_of_keras(code) or code.__module__.startswith("tfpar.")


def _reads_other_rows(loss, y_true, y_pred) -> bool:
    """Whether the loss of a row changes with the rows beside it, as in a contrastive loss; tried on random numbers."""
    generator = np.random.default_rng(0)

    def make_rows(tensor):
        shape = [_ROWS_TRIED, *(size or _STEPS_TRIED for size in tensor.shape[1:])]
        dtype = tf.as_dtype(tensor.dtype)
        numbers = generator.uniform(0.1, 0.9, shape) if dtype.is_floating else generator.integers(0, 2, shape)
        return tf.constant(numbers, dtype)

    with tf.init_scope():
        try:
            rows = [keras.tree.map_structure(make_rows, nest) for nest in (y_true, y_pred)]
            half = [keras.tree.map_structure(lambda t: t[: _ROWS_TRIED // 2], nest) for nest in rows]
            beside_others, alone = (tf.convert_to_tensor(loss.call(*nests)).numpy() for nests in (rows, half))
        except Exception:  # of a user's code, which may not take such numbers
            return False
    return not np.allclose(beside_others[: len(alone)], alone, rtol=1e-3, atol=1e-5, equal_nan=True)


def gather_arguments(arguments: LossArguments, place) -> LossArguments:
    """The arguments of the whole batch, given those of this replica's share.

    Args:
        arguments: of the share.
        place: of its first row in the batch, int32 scalar.

    Raises:
        ValueError: the batch was distributed before `fit` saw it, so that places are unknown.
    """
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return arguments
    rows = this_share().rows
    if rows is None:
        raise ValueError(
            "A loss of the whole batch needs to know which rows a replica has, but the dataset is a "
            "tf.distribute.DistributedDataset; pass the tf.data.Dataset itself."
        )
    leaves = tf.nest.flatten(arguments)
    moved = [None if leaf is None else _among_zeros(_as_number(leaf), place, rows) for leaf in leaves]
    pairs = zip(all_reduce_sum(moved), leaves, strict=True)
    return tf.nest.pack_sequence_as(arguments, [None if t is None else tf.cast(t, leaf.dtype) for t, leaf in pairs])


def loss_of_own_rows(loss, own: LossArguments, whole: LossArguments, parts: int) -> tf.Tensor:
    """The loss of the whole batch, with `parts` times its gradient by a part's own rows: the mean over parts is right.

    Args:
        loss: a Keras loss.
        own: arguments of the part that is computed.
        whole: of the whole batch.
        parts: of the batch.
    """
    rows = _row_numbers(first_row(row_count(own.y_pred)), row_count(own.y_pred))
    y_pred = tf.nest.map_structure(
        lambda all_rows, own_rows: tf.tensor_scatter_nd_update(all_rows, rows, tf.cast(own_rows, all_rows.dtype)),
        whole.y_pred,
        own.y_pred,
    )
    if whole.mask is not None:
        set_mask(y_pred, whole.mask)
    value = loss(whole.y_true, y_pred, whole.sample_weight)
    constant = tf.stop_gradient(value)
    return constant + parts * (value - constant)


def _row_numbers(begin, count):
    return (tf.cast(begin, tf.int32) + tf.range(count))[:, None]


def _among_zeros(leaf, place, rows):
    """The batch's tensor (rows, ...) with zeros for the rows of others."""
    return tf.scatter_nd(_row_numbers(place, tf.shape(leaf)[0]), leaf, [rows, *leaf.shape[1:]])


def _as_number(leaf):
    leaf = tf.convert_to_tensor(leaf)
    return leaf if leaf.dtype.is_floating or leaf.dtype in (tf.int32, tf.int64) else tf.cast(leaf, tf.int32)
