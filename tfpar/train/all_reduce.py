"""Sums over all replicas: what they tell each other in a training step."""

import numpy as np
import tensorflow as tf

from tfpar.train.row_gradients import as_tensor, in_own_place, numbered


def all_reduce_sum(nest, moves_rows: bool = False):
    """Sums a nest of tensors, with None for what is absent, over all replicas; called in a replica.

    With one replica it returns them as they are. Workers of one host hand them over in shared memory, others by
    TensorFlow's collectives. The sum has the same bits on all.

    Args:
        nest: of tensors and `tf.IndexedSlices`.
        moves_rows: move the latter as they are, which needs equally many rows on each replica, and not the whole
            tables. In shared memory rows are always moved.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return nest
    collectives = getattr(tf.distribute.get_strategy(), "tfpar_collectives", None)
    if collectives is not None:
        return _in_shared_memory(nest, collectives)
    return _by_tensorflow(nest, context, moves_rows)


def _by_tensorflow(nest, context, moves_rows):
    given = tf.nest.flatten(nest)
    flat = [in_own_place(leaf, context) if moves_rows else as_tensor(leaf) for leaf in given]
    tensors = tf.nest.flatten(flat, expand_composites=True)
    # TensorFlow packs what one call is given, which must be of one type.
    for dtype in sorted({t.dtype.name for t in tensors if t is not None}):
        places = [place for place, t in enumerate(tensors) if t is not None and t.dtype.name == dtype]
        summed = context.all_reduce(tf.distribute.ReduceOp.SUM, [tensors[place] for place in places])
        for place, tensor in zip(places, summed, strict=True):
            tensors[place] = tensor
    flat = tf.nest.pack_sequence_as(flat, tensors, expand_composites=True)
    return tf.nest.pack_sequence_as(nest, [numbered(*pair) for pair in zip(flat, given, strict=True)])


def _in_shared_memory(nest, collectives):
    """Tensors are added; a table's rows are put behind those of the workers before."""
    leaves = tf.nest.flatten(nest)
    sent = [tensor for leaf in leaves for tensor in _tensors(leaf)]
    are_rows = [isinstance(leaf, tf.IndexedSlices) for leaf in leaves for _ in _tensors(leaf)]

    def reduce(*arrays):
        by_array = zip(*collectives.all_gather(arrays), strict=True)
        return [np.concatenate(a) if rows else _added(a) for a, rows in zip(by_array, are_rows, strict=True)]

    received = iter(tf.numpy_function(reduce, sent, [tensor.dtype for tensor in sent]))

    def result(leaf):
        if leaf is None:
            return None
        if not isinstance(leaf, tf.IndexedSlices):
            return tf.ensure_shape(next(received), leaf.shape)
        values = tf.ensure_shape(next(received), [None, *leaf.values.shape[1:]])
        return tf.IndexedSlices(values, tf.ensure_shape(next(received), [None]), leaf.dense_shape)

    return tf.nest.pack_sequence_as(nest, [result(leaf) for leaf in leaves])


def _tensors(leaf):
    """The tensors of a leaf that a worker's own differ in."""
    if leaf is None:
        return []
    return [leaf.values, leaf.indices] if isinstance(leaf, tf.IndexedSlices) else [leaf]


def _added(arrays):
    total = np.add(*arrays[:2])
    for array in arrays[2:]:
        total += array
    return total
