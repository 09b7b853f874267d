"""Sums of tensors over all replicas in a training step."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfpar.cluster.shared_memory import OutOfStepError, SharedMemoryCollectives, aligned_empty, aligned_size
from tfpar.train.row_gradients import as_tensor, pad_to_all_replicas, restore_indices
from tfpar.train.types import Nest


def all_reduce_sum(nest: Nest, moves_rows: bool = False) -> Nest:
    """Sum a nest of tensors, with None for absent ones, over all replicas; called in a replica.

    With one replica they are returned unchanged. Workers of one host exchange them in shared memory, others by
    TensorFlow's collectives. The sum has the same bits on all.

    Args:
        nest: of tensors and `tf.IndexedSlices`.
        moves_rows: exchange the latter as rows, which needs equally many on each replica, and not as dense tables. In
            shared memory they are always exchanged as rows.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return nest
    leaves = tf.nest.flatten(nest)
    collectives = getattr(tf.distribute.get_strategy(), "tfpar_collectives", None)
    if collectives is not None:
        sums = _sum_in_shared_memory(leaves, collectives)
    else:
        sums = _sum_by_tensorflow(leaves, context, moves_rows)
    return tf.nest.pack_sequence_as(nest, [restore_indices(*pair) for pair in zip(sums, leaves, strict=True)])


def _sum_by_tensorflow(leaves, context, moves_rows) -> list:
    flat = [pad_to_all_replicas(leaf, context) if moves_rows else as_tensor(leaf) for leaf in leaves]
    tensors = tf.nest.flatten(flat, expand_composites=True)
    # TensorFlow packs the tensors of one call, which must be of one dtype.
    for indices in _group_by_dtype(tensors, range(len(tensors))):
        sums = context.all_reduce(tf.distribute.ReduceOp.SUM, [tensors[index] for index in indices])
        for index, tensor in zip(indices, sums, strict=True):
            tensors[index] = tensor
    return tf.nest.pack_sequence_as(flat, tensors, expand_composites=True)


def _group_by_dtype(tensors, indices) -> list[list[int]]:
    """Group indices of tensors by their dtype, in the order of its name; those of None are left out."""
    indices = [index for index in indices if tensors[index] is not None]
    names = sorted({tensors[index].dtype.name for index in indices})
    return [[index for index in indices if tensors[index].dtype.name == name] for name in names]


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Which tensors are exchanged together.

    Attributes:
        dense: groups of indices of tensors of one dtype, which are added. One group, and so one result, for each dtype,
            because each result costs Python's time.
        rows: indices of the values and indices of `tf.IndexedSlices`, which are concatenated.
    """

    dense: list[list[int]]
    rows: list[int]

    @property
    def groups(self) -> list[list[int]]:
        """All groups, in the order of exchange."""
        return [*self.dense, *([index] for index in self.rows)]


def _sum_in_shared_memory(leaves, collectives: SharedMemoryCollectives) -> list:
    """Add tensors; concatenate rows of tables in the order of the workers."""
    flat = [tf.IndexedSlices(leaf.values, leaf.indices) if _is_rows(leaf) else leaf for leaf in leaves]
    tensors = tf.nest.flatten(flat, expand_composites=True)
    of_rows = {id(tensor) for leaf in flat if _is_rows(leaf) for tensor in (leaf.values, leaf.indices)}
    dense = [index for index, tensor in enumerate(tensors) if id(tensor) not in of_rows]
    rows = [index for index, tensor in enumerate(tensors) if id(tensor) in of_rows]
    layout = _Layout(_group_by_dtype(tensors, dense), rows)
    results = _exchange(tensors, layout, collectives)
    for group, result in zip(layout.dense, results, strict=False):
        for index, tensor in zip(group, _unpack(result, [tensors[index] for index in group]), strict=True):
            tensors[index] = tensor
    for index, result in zip(layout.rows, results[len(layout.dense) :], strict=True):
        tensors[index] = tf.reshape(result, [-1, *tensors[index].shape[1:]])
    return tf.nest.pack_sequence_as(flat, tensors, expand_composites=True)


def _exchange(tensors, layout: _Layout, collectives: SharedMemoryCollectives) -> list[tf.Tensor]:
    """Exchange tensors with the other workers; return a flat tensor for each group of the layout."""

    def reduce(*arrays):
        remaining = iter(arrays)
        groups = [[next(remaining) for _ in group] for group in layout.groups]
        of_workers = list(zip(*collectives.all_gather(groups), strict=True))
        count = len(layout.dense)
        return [*map(_add_flat, of_workers[:count]), *map(_concatenate_flat, of_workers[count:])]

    arguments = [tensors[index] for group in layout.groups for index in group]
    return tf.numpy_function(reduce, arguments, [tensors[group[0]].dtype for group in layout.groups])


def _is_rows(leaf) -> bool:
    return isinstance(leaf, tf.IndexedSlices)


def _add_flat(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Add arrays (elements,), in the order of the workers."""
    if any(array.size != arrays[0].size for array in arrays):
        raise OutOfStepError("another worker hands over other arrays")
    total = aligned_empty(arrays[0].size, arrays[0].dtype)
    with np.errstate(all="ignore"):  # sums overflow as TensorFlow's do, and gaps between arrays hold any bits
        np.add(arrays[0], arrays[1], out=total)
        for other in arrays[2:]:
            total += other
    return total


def _concatenate_flat(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Concatenate arrays (elements,) of all workers, in their order."""
    return np.concatenate(arrays, out=aligned_empty(sum(array.size for array in arrays), arrays[0].dtype))


def _unpack(flat: tf.Tensor, like: Sequence[tf.Tensor]) -> Iterator[tf.Tensor]:
    """Yield the tensors of a group, of the shapes of `like`; TensorFlow does not copy them, since they are aligned."""
    offset = 0
    for tensor in like:
        size = tf.size(tensor) if tensor.shape.num_elements() is None else tensor.shape.num_elements()
        shape = tf.shape(tensor) if tensor.shape.num_elements() is None else tensor.shape
        yield tf.ensure_shape(tf.reshape(flat[offset : offset + size], shape), tensor.shape)
        offset += aligned_size(size, tensor.dtype.size)
