"""Who gets which rows: a global batch is cut into consecutive parts, one for each replica and each lane.

Every worker reads the same global batches, in the same order, and each replica takes its own rows. So an epoch has each
example once whatever the number of replicas, batches are those of one device, and a row's place in the global batch,
on which dropout depends, is known.
"""

import contextvars
from typing import NamedTuple

import tensorflow as tf

from tfpar.contexts import variable_set
from tfpar.layers.dropout import rows_begin_at
from tfpar.ops.random import hashed

DIFFERENT_BATCHES = (
    "The workers read different batches. All must read the same ones, in the same order, and take their rows of each: "
    "give shuffling a seed, or call keras.utils.set_random_seed(NUMBER) on every worker before you make the data."
)
_FINGERPRINTS = 256  # Squares of smaller numbers add up exactly in float32, over as many replicas.
_SAMPLED = 512

_share = contextvars.ContextVar("share", default=None)


class Share(NamedTuple):
    """What is known in a replica, beside its rows.

    Attributes:
        fingerprint: float32 scalar that tells the global batch from others; None where workers cannot differ.
        is_even: whether all replicas have equally many rows, as far as that is known in advance.
        rows: of the global batch, an int or int32 scalar; None where it was distributed by someone else.
    """

    fingerprint: tf.Tensor | None = None
    is_even: bool = False
    rows: int | tf.Tensor | None = None

    @property
    def is_even_over_workers(self) -> bool:
        """Whether several processes have equally many rows each."""
        return self.is_even and self.fingerprint is not None


class RowSharing:
    """A `tf.distribute.Strategy` of several replicas, as Keras' trainer sees it; all else is the strategy's own.

    Args:
        strategy: of two replicas or more.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self._strategy = strategy

    def __getattr__(self, name):
        return getattr(self._strategy, name)

    def experimental_distribute_dataset(self, dataset):
        """`dataset` itself: the strategy would shard it by files or examples, and cut batches without saying where.

        Raises:
            ValueError: its batches are not for a TPU, which needs static shapes, even shares and no strings.
        """
        if isinstance(self._strategy, tf.distribute.TPUStrategy):
            check_for_tpu(dataset.element_spec, self._strategy.num_replicas_in_sync)
        return dataset

    def run(self, function, args):
        """Runs `function(rows)` on each replica, with the replica's rows of the batch `args[0]`.

        A batch that is distributed already, from a `tf.distribute.DistributedDataset`, is taken as it is.
        """
        (batch,) = args
        if any(isinstance(leaf, tf.distribute.DistributedValues) for leaf in tf.nest.flatten(batch)):
            return self._strategy.run(function, args=args)

        rows, replicas = row_count(batch), self._strategy.num_replicas_in_sync
        share = Share(
            fingerprint=_fingerprint_of(batch) if self.is_multiworker else None,
            is_even=isinstance(rows, int) and rows % replicas == 0,
            rows=rows,
        )

        def on_replica(batch):
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            static = tf.get_static_value(replica)
            place, rows = part_of_rows(batch, replica if static is None else int(static), replicas)
            with rows_begin_at(place), variable_set(_share, share):
                return function(rows)

        return self._strategy.run(on_replica, args=(batch,))

    def everywhere(self, function):
        """Runs `function()` on each replica."""
        return self._strategy.run(function)

    @property
    def is_multiworker(self) -> bool:
        """Whether replicas are in several processes."""
        return len(self._strategy.extended.worker_devices) < self._strategy.num_replicas_in_sync and not isinstance(
            self._strategy, tf.distribute.TPUStrategy
        )

    def first_result(self, output):
        """What this process' first replica returned; called across replicas."""
        return self._strategy.experimental_local_results(output)[0]

    def in_input_order(self, output):
        """Rows of all replicas, in the order of the global batch; called across replicas."""
        return self._strategy.gather(output, axis=0)


def check_for_tpu(spec, replicas: int) -> None:
    """Refuses batches that a TPU cannot take, before anything is compiled.

    Args:
        spec: nest of `tf.TensorSpec`, of a batch.
        replicas: how many cores share its rows.

    Raises:
        ValueError: a shape is not static, rows cannot be shared evenly, or there are strings.
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


def row_count(batch) -> int | tf.Tensor:
    """Rows of a nest of tensors (rows, ...), with None for what is absent: an int where it is known in advance."""
    first = next(leaf for leaf in tf.nest.flatten(batch) if leaf is not None)
    return tf.shape(first)[0] if first.shape[0] is None else first.shape[0]


def part_of_rows(batch, part, parts: int):
    """Cuts a batch into parts as even as its rows allow; the last ones may have fewer rows, or none.

    Args:
        batch: nest of tensors (rows, ...), with None for what is absent.
        part: which part, an integer or an int32 scalar.
        parts: how many there are.

    Returns:
        Place of the part's first row in the batch, an int32 scalar; and the nest of its rows.
    """
    rows = row_count(batch)
    size = -(-rows // parts)
    begin = part * size

    def cut(tensor):
        if tensor is None:
            return None
        mine = tensor[begin : begin + size]
        if isinstance(size, int) and isinstance(mine, tf.Tensor) and rows % parts == 0:
            mine = tf.ensure_shape(mine, [size, *mine.shape[1:]])  # static for XLA, wherever `part` is not
        return mine

    return tf.convert_to_tensor(begin, tf.int32), tf.nest.map_structure(cut, batch)


def this_share() -> Share:
    """The share of the replica that asks."""
    return _share.get() or Share()


def fingerprints() -> list[tf.Tensor]:
    """What replicas add up to find out whether they were handed the same batch: see `check_same_batch`."""
    fingerprint = this_share().fingerprint
    # An all-reduce takes only what was made in the replica.
    return [] if fingerprint is None else [tf.identity(fingerprint), fingerprint**2]


def check_same_batch(summed: list[tf.Tensor], replicas: int) -> None:
    """Stops training where workers read different batches, given the sums of their `fingerprints`.

    Numbers f are all the same where their sum, squared, is their count times the sum of their squares.
    """
    if summed:
        numbers, squares = (tf.cast(number, tf.int64) for number in summed)
        tf.debugging.assert_equal(numbers**2, replicas * squares, message=DIFFERENT_BATCHES)


def _fingerprint_of(batch) -> tf.Tensor:
    """A number below `_FINGERPRINTS` that tells batches apart by their first values, float32."""
    numbers = [_hash(tf.reshape(leaf, [-1])[:_SAMPLED]) for leaf in tf.nest.flatten(batch) if tf.is_tensor(leaf)]
    return tf.cast(tf.math.floormod(tf.add_n(numbers), _FINGERPRINTS), tf.float32)


def _hash(values) -> tf.Tensor:
    """Depends on all values and their places, int64."""
    if values.dtype == tf.string:
        bits = tf.cast(tf.strings.to_hash_bucket_fast(values, 2**31 - 1), tf.uint32)
    else:
        bits = tf.bitcast(tf.cast(values, tf.float32), tf.uint32)
    places = hashed(tf.cast(tf.range(tf.size(bits)), tf.uint32))
    return tf.reduce_sum(tf.cast(hashed(bits + places), tf.int64))
