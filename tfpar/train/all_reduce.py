"""Sums over all replicas: what they tell each other in a training step."""

import itertools

import numpy as np
import tensorflow as tf

from tfpar.cluster.shared_memory import OutOfStepError, aligned_empty, aligned_size
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
    bare = [tf.IndexedSlices(leaf.values, leaf.indices) if _is_rows(leaf) else leaf for leaf in leaves]
    tensors = tf.nest.flatten(bare, expand_composites=True)
    rows = {id(part) for leaf in bare if _is_rows(leaf) for part in (leaf.values, leaf.indices)}
    dense = [place for place, t in enumerate(tensors) if t is not None and id(t) not in rows]
    # One group, and so one result, for all dense tensors of a type: each result costs Python's time.
    types = sorted({tensors[place].dtype.name for place in dense})
    sums = [[place for place in dense if tensors[place].dtype.name == name] for name in types]
    joined = [[place] for place, t in enumerate(tensors) if id(t) in rows]

    def reduce(*arrays):
        arrays = iter(arrays)
        groups = [list(itertools.islice(arrays, len(group))) for group in sums + joined]
        of_workers = list(zip(*collectives.all_gather(groups), strict=True))
        return [*map(_added, of_workers[: len(sums)]), *map(_joined, of_workers[len(sums) :])]

    dtypes = [tensors[group[0]].dtype for group in sums + joined]
    flat = tf.numpy_function(reduce, [tensors[place] for place in itertools.chain(*sums, *joined)], dtypes)
    for group, result in zip(sums, flat, strict=False):
        for place, tensor in zip(group, _unpacked(result, [tensors[p] for p in group]), strict=True):
            tensors[place] = tensor
    for (place,), result in zip(joined, flat[len(sums) :], strict=True):
        tensors[place] = tf.reshape(result, [-1, *tensors[place].shape[1:]])
    reduced = tf.nest.pack_sequence_as(bare, tensors, expand_composites=True)
    return tf.nest.pack_sequence_as(nest, [numbered(*pair) for pair in zip(reduced, leaves, strict=True)])


def _is_rows(leaf):
    return isinstance(leaf, tf.IndexedSlices)


def _added(flat):
    """Sum of arrays (elements,), in the order of the workers."""
    if any(array.size != flat[0].size for array in flat):
        raise OutOfStepError("another worker hands over other arrays")
    total = aligned_empty(flat[0].size, flat[0].dtype)
    with np.errstate(all="ignore"):  # sums overflow, as those of TensorFlow do, and what is between arrays is not read
        np.add(*flat[:2], out=total)
        for other in flat[2:]:
            total += other
    return total


def _joined(flat):
    """Arrays (elements,) of all workers, in their order."""
    return np.concatenate(flat, out=aligned_empty(sum(array.size for array in flat), flat[0].dtype))


def _unpacked(flat, like):
    """The tensors of a group, of the shapes of `like`; TensorFlow does not copy them, since they are aligned."""
    begin = 0
    for tensor in like:
        size = tf.size(tensor) if tensor.shape.num_elements() is None else tensor.shape.num_elements()
        shape = tf.shape(tensor) if tensor.shape.num_elements() is None else tensor.shape
        yield tf.ensure_shape(tf.reshape(flat[begin : begin + size], shape), tensor.shape)
        begin += aligned_size(size, tensor.dtype.size)
