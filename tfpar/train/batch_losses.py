"""Losses that are no mean over rows, but need the whole batch: the root of a mean, a correlation, pairs of rows.

The outputs for all rows are gathered before the backward pass, by one more forward pass. Then each microbatch computes
the loss of all rows and differentiates it by its own, and the gradients of the microbatches add up to that of the
batch.
"""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfpar.keras_private import is_loss_of_keras, set_mask
from tfpar.layers.call_context import first_row
from tfpar.train.all_reduce import all_reduce_sum
from tfpar.train.sharding import row_count
from tfpar.train.step_context import current_step

_TRIED_ROWS, _TRIED_STEPS = 4, 3
_PAIRWISE = (keras.losses.Circle,)
_BATCHWISE_BY_AXIS = (keras.losses.Dice, keras.losses.Tversky)


class LossArguments(NamedTuple):
    """Arguments of one call of a loss.

    Attributes:
        y_true, y_pred: nests of tensors (rows, ...).
        sample_weight: tensor (rows, ...) or None.
        mask: Keras' mask of `y_pred`, or None.
    """

    y_true: object
    y_pred: object
    sample_weight: tf.Tensor | None
    mask: tf.Tensor | None


def splits_by_rows(loss: keras.losses.Loss, arguments: LossArguments | None = None) -> bool | None:
    """Return whether a loss is a mean, or a sum, of values of single rows.

    Args:
        loss: a Keras loss.
        arguments: with an unknown number of rows; they decide where the class of the loss does not.

    Returns:
        None if `arguments` are needed to decide.
    """
    if type(loss).__call__ is not keras.losses.Loss.__call__ or isinstance(loss, _PAIRWISE):
        return False
    code = getattr(loss, "fn", None) or type(loss)
    is_known = is_loss_of_keras(code) or code.__module__.startswith("tfpar.")
    if is_known and not isinstance(loss, _BATCHWISE_BY_AXIS):
        return True
    if arguments is None:
        return None
    y_true, y_pred = (
        keras.tree.map_structure(lambda t: keras.ops.convert_to_tensor(t, loss.dtype), t) for t in arguments[:2]
    )
    shape = tf.convert_to_tensor(loss.call(y_true, y_pred)).shape
    return bool(shape.rank) and shape[0] is None and not _reads_other_rows(loss, y_true, y_pred)


def _reads_other_rows(loss, y_true, y_pred) -> bool:
    """Return whether a row's loss depends on the other rows, as in a contrastive loss; tried on random numbers."""
    generator = np.random.default_rng(0)

    def make_rows(tensor):
        shape = [_TRIED_ROWS, *(size or _TRIED_STEPS for size in tensor.shape[1:])]
        dtype = tf.as_dtype(tensor.dtype)
        numbers = generator.uniform(0.1, 0.9, shape) if dtype.is_floating else generator.integers(0, 2, shape)
        return tf.constant(numbers, dtype)

    with tf.init_scope():
        try:
            rows = [keras.tree.map_structure(make_rows, nest) for nest in (y_true, y_pred)]
            half = [keras.tree.map_structure(lambda t: t[: _TRIED_ROWS // 2], nest) for nest in rows]
            of_all, of_half = (tf.convert_to_tensor(loss.call(*nests)).numpy() for nests in (rows, half))
        except Exception:  # a user's code may refuse such numbers
            return False
    return not np.allclose(of_all[: len(of_half)], of_half, rtol=1e-3, atol=1e-5, equal_nan=True)


def gather_arguments(arguments: LossArguments, offset: tf.Tensor) -> LossArguments:
    """Gather the arguments of the global batch from those of all shards.

    Args:
        arguments: of this replica's shard.
        offset: of the shard's first row in the batch, int32 scalar.

    Raises:
        ValueError: the batch was distributed before `fit` received it, so that offsets are unknown; or it has ragged
            tensors.
    """
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return arguments
    rows = current_step().global_rows
    if rows is None:
        raise ValueError(
            "A loss of the whole batch needs to know which rows a replica has, but the dataset is a "
            "tf.distribute.DistributedDataset; pass the tf.data.Dataset itself."
        )
    leaves = tf.nest.flatten(arguments)
    if any(isinstance(leaf, tf.RaggedTensor) for leaf in leaves):
        raise ValueError(
            "The `loss` must be a mean over rows to be given ragged targets or outputs on several replicas; got one of "
            "the whole batch. Give it dense tensors (`to_tensor()` and a mask), or train on one device."
        )
    padded = [None if leaf is None else _pad_rows(_as_number(leaf), offset, rows) for leaf in leaves]
    pairs = zip(all_reduce_sum(padded), leaves, strict=True)
    return tf.nest.pack_sequence_as(arguments, [None if t is None else tf.cast(t, leaf.dtype) for t, leaf in pairs])


def batch_loss_by_own_rows(
    loss: keras.losses.Loss, own: LossArguments, whole: LossArguments, microbatches: int
) -> tf.Tensor:
    """Compute the loss of the global batch, whose gradient is `microbatches` times that by a microbatch's own rows.

    The mean of these gradients over the microbatches is the gradient of the batch.

    Args:
        loss: a Keras loss.
        own: arguments of the microbatch that is computed.
        whole: arguments of the global batch.
        microbatches: number of microbatches of the batch.
    """
    indices = _row_indices(first_row(row_count(own.y_pred)), row_count(own.y_pred))
    y_pred = tf.nest.map_structure(
        lambda all_rows, own_rows: tf.tensor_scatter_nd_update(all_rows, indices, tf.cast(own_rows, all_rows.dtype)),
        whole.y_pred,
        own.y_pred,
    )
    if whole.mask is not None:
        set_mask(y_pred, whole.mask)
    value = loss(whole.y_true, y_pred, whole.sample_weight)
    constant = tf.stop_gradient(value)
    return constant + microbatches * (value - constant)


def _row_indices(offset, count):
    return (tf.cast(offset, tf.int32) + tf.range(count))[:, None]


def _pad_rows(leaf, offset, rows):
    """Make a tensor (rows, ...) of the batch with zeros for the rows of other shards."""
    return tf.scatter_nd(_row_indices(offset, tf.shape(leaf)[0]), leaf, [rows, *leaf.shape[1:]])


def _as_number(leaf):
    leaf = tf.convert_to_tensor(leaf)
    return leaf if leaf.dtype.is_floating or leaf.dtype in (tf.int32, tf.int64) else tf.cast(leaf, tf.int32)
