"""Gradients of tables, such as embeddings, kept as the rows that a batch touched.

A batch of 64 snippets touches 1,500 rows of a table of 9,000. Between workers on a network, or two lanes on one CPU,
only those need to be moved and added. The optimizer is given the whole table's gradient: its steps stay what they are.
"""

import tensorflow as tf

_FEWEST_ROWS = 4096  # A smaller table is moved as fast as a whole.
_MOST_ROWS = 2**24  # Row numbers are moved as float32, which is exact below.


def times(gradient, factor, table: tf.Tensor, keeps_rows: bool = False):
    """A gradient times a scalar.

    Args:
        gradient: tensor, or `tf.IndexedSlices`, which stay so only if `table` has many more rows than they have.
        factor: scalar.
        table: the variable.
        keeps_rows: `tf.IndexedSlices` stay so in any case, with each row once.
    """
    factor = tf.cast(factor, gradient.dtype)
    if not isinstance(gradient, tf.IndexedSlices):
        return tf.convert_to_tensor(gradient) * factor
    if keeps_rows:
        rows, of_value = tf.unique(gradient.indices)
        sums = tf.math.unsorted_segment_sum(gradient.values, of_value, tf.size(rows))
        return tf.IndexedSlices(sums * factor, rows, gradient.dense_shape)
    rows, touched = table.shape[0], gradient.values.shape[0]
    if not _FEWEST_ROWS <= rows < _MOST_ROWS or (touched or 0) > rows:
        return tf.convert_to_tensor(gradient) * factor
    shape = tf.constant(table.shape.as_list())
    return tf.IndexedSlices(gradient.values * factor, tf.cast(gradient.indices, tf.int32), shape)


def add(gradients: list):
    """Adds gradients of one kind: tensors, or `tf.IndexedSlices`."""
    first = gradients[0]
    if not isinstance(first, tf.IndexedSlices):
        return tf.add_n(gradients)
    values, indices = (tf.concat([getattr(g, part) for g in gradients], axis=0) for part in ("values", "indices"))
    return tf.IndexedSlices(values, indices, first.dense_shape)


def as_tensor(gradient):
    """The gradient of the whole table; tensors, and None, are returned as they are."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    return tf.math.unsorted_segment_sum(gradient.values, gradient.indices, gradient.dense_shape[0])


def as_tensors(gradients: list) -> list:
    """Gradients of whole tables: see `as_tensor`."""
    return [as_tensor(gradient) for gradient in gradients]


def unless_rows(gradient):
    """None in place of `tf.IndexedSlices`; tensors, and None, are returned as they are."""
    return None if isinstance(gradient, tf.IndexedSlices) else gradient


def in_own_place(gradient, context: tf.distribute.ReplicaContext):
    """Rows of all replicas, of which this one knows its own: zeros stand for the others'.

    Such slices of all replicas, which must have touched equally many rows, can be added up as tensors are: by one
    all-reduce, together with all other gradients. For that the row numbers are of the type of the values. What is no
    slices is returned as it is.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    replica, count = tf.get_static_value(context.replica_id_in_sync_group), tf.shape(gradient.indices)[0]
    around = [replica * count, (context.num_replicas_in_sync - 1 - replica) * count]
    indices = tf.cast(gradient.indices, gradient.values.dtype)
    return tf.IndexedSlices(tf.pad(gradient.values, [around, [0, 0]]), tf.pad(indices, [around]))


def numbered(summed, gradient):
    """Undoes to a sum of slices what `in_own_place` did to the row numbers of a `gradient`."""
    if not isinstance(summed, tf.IndexedSlices):
        return summed
    return tf.IndexedSlices(summed.values, tf.cast(summed.indices, tf.int32), gradient.dense_shape)
