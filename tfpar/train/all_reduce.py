"""Sums over all replicas: what they tell each other in a training step."""

import numpy as np
import tensorflow as tf

from tfpar.cluster.shared_memory import aligned_empty, unpacked
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
    dense = [leaf for leaf in leaves if tf.is_tensor(leaf) and not isinstance(leaf, tf.IndexedSlices)]
    rows = [part for leaf in leaves if isinstance(leaf, tf.IndexedSlices) for part in (leaf.values, leaf.indices)]
    dtypes = [tensor.dtype for tensor in dense + rows]

    def reduce(*arrays):
        return _reduced(collectives, arrays[: len(dense)], arrays[len(dense) :])

    received = tf.numpy_function(reduce, dense + rows, dtypes)
    sums, joined = iter(received[: len(dense)]), iter(received[len(dense) :])

    def result(leaf):
        if not isinstance(leaf, tf.IndexedSlices):
            return None if leaf is None else tf.ensure_shape(next(sums), leaf.shape)
        values = tf.ensure_shape(next(joined), [None, *leaf.values.shape[1:]])
        return tf.IndexedSlices(values, tf.ensure_shape(next(joined), [None]), leaf.dense_shape)

    return tf.nest.pack_sequence_as(nest, [result(leaf) for leaf in leaves])


def _reduced(collectives, dense, rows):
    """Arrays of all workers: the sums of `dense`, with the same bits on all, and all `rows`."""
    kinds = sorted({array.dtype.str for array in dense})
    places = [[place for place, array in enumerate(dense) if array.dtype.str == kind] for kind in kinds]
    groups = [[dense[place] for place in of_kind] for of_kind in places]
    gathered = list(zip(*collectives.all_gather(groups + [[array] for array in rows]), strict=True))
    results = list(dense)
    for of_kind, group, flat in zip(places, groups, gathered, strict=False):
        for place, array in zip(of_kind, unpacked(_added(flat), group), strict=True):
            results[place] = array
    return results + [_joined(*pair) for pair in zip(rows, gathered[len(groups) :], strict=True)]


def _added(flat):
    """Sum of arrays (elements,), in the order of the workers."""
    total = aligned_empty(flat[0].size, flat[0].dtype)
    with np.errstate(all="ignore"):  # sums overflow, as those of TensorFlow do, and what is between arrays is not read
        np.add(*flat[:2], out=total)
        for other in flat[2:]:
            total += other
    return total


def _joined(like, flat):
    """Rows (all rows, ...) of all workers, in their order; those of `like` are this worker's."""
    joined = aligned_empty(sum(array.size for array in flat), like.dtype)
    return np.concatenate(flat, out=joined).reshape(-1, *like.shape[1:])
