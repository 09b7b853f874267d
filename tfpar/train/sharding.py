"""Row sharding: a global batch is cut into consecutive shards, one for each replica.

Every worker reads the same global batches in the same order, and each replica takes its own rows. So an epoch has each
example once whatever the number of replicas, batches are those of one device, and the offset of a row in the global
batch, on which dropout depends, is known.
"""

import contextlib
from collections.abc import Callable

import tensorflow as tf

from tfpar.cluster.multiworker import is_multiworker
from tfpar.layers.call_context import rows_begin_at
from tfpar.ops.random import hash_bits
from tfpar.train.empty_shards import operations_of_no_rows
from tfpar.train.step_context import current_step, step_context
from tfpar.train.types import Nest

DIFFERENT_BATCHES = (
    "The workers read different batches. All must read the same ones, in the same order, and take their rows of each: "
    "give shuffling a seed, or call keras.utils.set_random_seed(NUMBER) on every worker before you make the data."
)
_FINGERPRINTS = 256  # Squares of smaller numbers add up exactly in float32, over as many replicas.
_SAMPLED_VALUES = 512


class ShardedStrategy:
    """A `tf.distribute.Strategy` of several replicas that gives each its rows of a global batch.

    It replaces the strategy in Keras' trainer; attributes that it does not define are the strategy's.

    Args:
        strategy: of two replicas or more.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self._strategy = strategy

    def __getattr__(self, name):
        return getattr(self._strategy, name)

    def experimental_distribute_dataset(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Return `dataset` itself: the strategy would shard it by files or examples, at unknown offsets.

        Raises:
            ValueError: its batches are not for a TPU, which needs static shapes, even shards and no strings.
        """
        if isinstance(self._strategy, tf.distribute.TPUStrategy):
            check_for_tpu(dataset.element_spec, self._strategy.num_replicas_in_sync)
        return dataset

    def run(self, function: Callable, args: tuple) -> Nest:
        """Run `function(rows)` on each replica, with the replica's rows of the batch `args[0]`.

        A batch from a `tf.distribute.DistributedDataset` is already distributed, and is passed on unchanged.
        """
        (batch,) = args
        if any(isinstance(leaf, tf.distribute.DistributedValues) for leaf in tf.nest.flatten(batch)):
            return self._strategy.run(function, args=args)

        rows, replicas = row_count(batch), self._strategy.num_replicas_in_sync
        facts = {
            "fingerprint": compute_fingerprint(batch) if self.is_multiworker else None,
            "has_even_shards": isinstance(rows, int) and rows % replicas == 0,
            "global_rows": rows,
        }

        def run_on_replica(batch):
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            static = tf.get_static_value(replica)
            offset, rows = slice_rows(batch, replica if static is None else int(static), replicas)
            with rows_begin_at(offset), step_context(**facts):
                return function(rows)

        may_be_empty = not facts["has_even_shards"] and "CPU" in self._strategy.extended.worker_devices[0]
        with operations_of_no_rows() if may_be_empty else contextlib.nullcontext():
            return self._strategy.run(run_on_replica, args=(batch,))

    def run_without_batch(self, function: Callable) -> Nest:
        """Run `function()` on each replica."""
        return self._strategy.run(function)

    @property
    def is_multiworker(self) -> bool:
        """Whether replicas are in several processes."""
        return is_multiworker(self._strategy) and not isinstance(self._strategy, tf.distribute.TPUStrategy)

    def first_result(self, output: Nest) -> Nest:
        """Return the output of this process' first replica; called across replicas."""
        return self._strategy.experimental_local_results(output)[0]

    def gather_outputs(self, outputs: Nest) -> Nest:
        """Concatenate the rows of all replicas in the order of the global batch; called across replicas."""
        return tf.nest.map_structure(lambda output: self._strategy.gather(output, axis=0), outputs)


def check_for_tpu(spec: Nest, replicas: int) -> None:
    """Refuse batches that a TPU cannot process, before anything is compiled.

    Args:
        spec: nest of `tf.TensorSpec`, of a batch.
        replicas: number of cores that share its rows.

    Raises:
        ValueError: a shape is not static, rows cannot be divided evenly, or there are strings.
    """
    for leaf in tf.nest.flatten(spec):
        if leaf.dtype == tf.string:
            raise ValueError(f"A TPU takes no strings; got {leaf}. Turn texts into token ids in the dataset.")
        if not leaf.shape.is_fully_defined():
            raise ValueError(
                f"A TPU takes batches of static shape; got {leaf}. Pad all sequences to one length, and make batches "
                "with drop_remainder=True."
            )
        if leaf.shape[0] % replicas:
            raise ValueError(f"A batch's rows must be a multiple of the {replicas} TPU cores; got {leaf}.")


def row_count(batch: Nest) -> int | tf.Tensor:
    """Return the rows of a nest of tensors (rows, ...), with None for absent ones: an int if it is static."""
    first = next(leaf for leaf in tf.nest.flatten(batch) if leaf is not None)
    return tf.shape(first)[0] if first.shape[0] is None else first.shape[0]


def slice_rows(batch: Nest, index: int | tf.Tensor, count: int) -> tuple[tf.Tensor, Nest]:
    """Cut one of `count` slices, as even as the rows allow; the last ones may have fewer rows, or none.

    Args:
        batch: nest of tensors (rows, ...), with None for absent ones.
        index: of the slice, an integer or an int32 scalar.
        count: number of slices.

    Returns:
        Offset of the slice's first row in the batch, an int32 scalar; and the nest of its rows.
    """
    rows = row_count(batch)
    size = -(-rows // count)
    offset = index * size

    def cut(tensor):
        if tensor is None:
            return None
        if isinstance(tensor, tf.SparseTensor):
            return _slice_sparse_rows(tensor, offset, size)
        shard = tensor[offset : offset + size]
        if isinstance(size, int) and isinstance(shard, tf.Tensor) and rows % count == 0:
            shard = tf.ensure_shape(shard, [size, *shard.shape[1:]])  # static for XLA, also where `index` is not
        return shard

    return tf.convert_to_tensor(offset, tf.int32), tf.nest.map_structure(cut, batch)


def _slice_sparse_rows(tensor: tf.SparseTensor, offset, size) -> tf.SparseTensor:
    """Return `tensor[offset : offset + size]`, which a `tf.SparseTensor` does not offer."""
    shape = tensor.dense_shape
    offset = tf.minimum(tf.cast(offset, tf.int64), shape[0])  # a shard may have no rows
    begin = tf.concat([offset[None], tf.zeros_like(shape[1:])], 0)
    rows = tf.sparse.slice(tensor, begin, tf.concat([tf.cast(size, tf.int64)[None], shape[1:]], 0))
    rows.set_shape([None, *tensor.shape[1:]])
    return rows


def fingerprint_terms() -> list[tf.Tensor]:
    """Return this replica's terms of the sums that `check_same_batch` takes; none if all are in one process."""
    fingerprint = current_step().fingerprint
    # An all-reduce takes only tensors that were made in the replica.
    return [] if fingerprint is None else [tf.identity(fingerprint), fingerprint**2]


def check_same_batch(sums: list[tf.Tensor], replicas: int) -> None:
    """Stop training if workers read different batches, given the sums of their `fingerprint_terms`.

    Numbers f are equal if and only if their sum, squared, is their count times the sum of their squares.

    Raises:
        tf.errors.InvalidArgumentError: when the step runs, with the message `DIFFERENT_BATCHES`.
    """
    if sums:
        total, squares = (tf.cast(number, tf.int64) for number in sums)
        tf.debugging.assert_equal(total**2, replicas * squares, message=DIFFERENT_BATCHES)


def compute_fingerprint(batch: Nest) -> tf.Tensor:
    """Hash the shapes and the first values of a batch to a number below `_FINGERPRINTS`, float32."""
    leaves = tf.nest.flatten(batch, expand_composites=True)  # components of sparse and ragged tensors
    hashes = [_hash(tf.reshape(leaf, [-1])[:_SAMPLED_VALUES]) for leaf in leaves if tf.is_tensor(leaf)]
    hashes += [_hash(tf.shape(leaf)) for leaf in leaves if tf.is_tensor(leaf)]
    return tf.cast(tf.math.floormod(tf.add_n(hashes), _FINGERPRINTS), tf.float32)


def _hash(values) -> tf.Tensor:
    """Hash all values with their indices, int64."""
    if values.dtype == tf.string:
        bits = tf.cast(tf.strings.to_hash_bucket_fast(values, 2**31 - 1), tf.uint32)
    else:
        bits = tf.bitcast(tf.cast(values, tf.float32), tf.uint32)
    indices = hash_bits(tf.cast(tf.range(tf.size(bits)), tf.uint32))
    return tf.reduce_sum(tf.cast(hash_bits(bits + indices), tf.int64))
