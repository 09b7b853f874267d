"""Sparse gradients of embedding tables: the rows that a batch touched, as `tf.IndexedSlices`.

A batch of 64 snippets touches 1,500 rows of a table of 9,000. Between workers on a network, or two lanes on one CPU,
only those need to be moved and added. The optimizer gets the dense gradient: its steps are unchanged.
"""

from collections.abc import Sequence

import tensorflow as tf

from tfpar.train.types import Gradient

_MIN_TABLE_ROWS = 4096  # A smaller table is moved as fast when it is dense.
_MAX_TABLE_ROWS = 2**24  # Row indices are moved as float32, which is exact below.


def scale(gradient: Gradient, factor: tf.Tensor, table: tf.Tensor, keeps_rows: bool = False) -> Gradient:
    """Multiply a gradient by a scalar.

    Args:
        gradient: tensor, or `tf.IndexedSlices`, which stay sparse only if `table` has many more rows than they have.
        factor: scalar.
        table: the variable.
        keeps_rows: let `tf.IndexedSlices` stay sparse in any case, with each row once.
    """
    factor = tf.cast(factor, gradient.dtype)
    if not isinstance(gradient, tf.IndexedSlices):
        return tf.convert_to_tensor(gradient) * factor
    if keeps_rows:
        rows, row_of_value = tf.unique(gradient.indices)
        sums = tf.math.unsorted_segment_sum(gradient.values, row_of_value, tf.size(rows))
        return tf.IndexedSlices(sums * factor, rows, gradient.dense_shape)
    rows, touched = table.shape[0], gradient.values.shape[0]
    if not _MIN_TABLE_ROWS <= rows < _MAX_TABLE_ROWS or (touched or 0) > rows:
        return tf.convert_to_tensor(gradient) * factor
    shape = tf.constant(table.shape.as_list())
    return tf.IndexedSlices(gradient.values * factor, tf.cast(gradient.indices, tf.int32), shape)


def add(gradients: Sequence[Gradient]) -> Gradient:
    """Add gradients of one kind: tensors, or `tf.IndexedSlices`."""
    first = gradients[0]
    if not isinstance(first, tf.IndexedSlices):
        return tf.add_n(gradients)
    values, indices = (tf.concat([getattr(g, name) for g in gradients], axis=0) for name in ("values", "indices"))
    return tf.IndexedSlices(values, indices, first.dense_shape)


def as_tensor(gradient: Gradient | None) -> tf.Tensor | None:
    """Make a dense gradient of `tf.IndexedSlices`; return tensors, and None, unchanged."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    return tf.math.unsorted_segment_sum(gradient.values, gradient.indices, gradient.dense_shape[0])


def as_tensors(gradients: Sequence) -> list[tf.Tensor | None]:
    """Make dense gradients: see `as_tensor`."""
    return [as_tensor(gradient) for gradient in gradients]


def drop_rows(gradient: Gradient | None) -> tf.Tensor | None:
    """Replace `tf.IndexedSlices` by None; return tensors, and None, unchanged."""
    return None if isinstance(gradient, tf.IndexedSlices) else gradient


def pad_to_all_replicas(gradient: Gradient | None, context: tf.distribute.ReplicaContext) -> Gradient | None:
    """Pad `tf.IndexedSlices` to the rows of all replicas, with zeros for the other replicas' rows.

    Such slices of all replicas, which must have touched equally many rows, can be added by one all-reduce together with
    all dense gradients. Row indices are therefore cast to the dtype of the values. Tensors are returned unchanged.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    replica, count = tf.get_static_value(context.replica_id_in_sync_group), tf.shape(gradient.indices)[0]
    padding = [replica * count, (context.num_replicas_in_sync - 1 - replica) * count]
    indices = tf.cast(gradient.indices, gradient.values.dtype)
    return tf.IndexedSlices(tf.pad(gradient.values, [padding, [0, 0]]), tf.pad(indices, [padding]))


def restore_indices(summed: Gradient | None, gradient: Gradient | None) -> Gradient | None:
    """Cast the row indices of a sum back to integers, given one of the gradients that were padded and summed."""
    if not isinstance(summed, tf.IndexedSlices) or gradient is None:
        return summed
    return tf.IndexedSlices(summed.values, tf.cast(summed.indices, tf.int32), gradient.dense_shape)
