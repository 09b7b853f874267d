"""`ReplicaMesh`: replicas that divide the rows of a batch over groups, and the time axis within each group."""

import dataclasses

import tensorflow as tf

from tfpar.cluster.gather import TensorGather
from tfpar.cluster.strategy import time_slice_count
from tfpar.train.sharding import DIFFERENT_BATCHES, slice_rows
from tfpar.train.types import Nest


@dataclasses.dataclass(frozen=True)
class ReplicaMesh:
    """Mesh of replicas (groups, slices), in row-major order.

    Attributes:
        groups: number of groups, each of which has a shard of the rows.
        slices: number of replicas of a group, each of which has a slice of the time axis.
    """

    groups: int
    slices: int

    @classmethod
    def of_strategy(cls, strategy: tf.distribute.Strategy) -> "ReplicaMesh":
        """Return the mesh that `tfpar.cluster.make_strategy` was asked for."""
        slices = time_slice_count(strategy)
        return cls(strategy.num_replicas_in_sync // slices, slices)

    def position(self) -> tuple[int, int]:
        """Return the indices of group and slice of the replica that calls this."""
        replica = tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group)
        group, index = divmod(int(replica), self.slices)
        return group, index

    def own_rows(self, batch: Nest) -> tuple[int | tf.Tensor, Nest]:
        """Return the offset of the rows of this replica's group, and these rows of a batch."""
        return (0, batch) if self.groups == 1 else slice_rows(batch, self.position()[0], self.groups)

    def most_rows(self, rows: int | tf.Tensor) -> int | None:
        """Return the rows of the largest group, given those of a batch; None if groups are equal, or it is unknown."""
        return -(-rows // self.groups) if self.groups > 1 and isinstance(rows, int) else None

    def exchange(self, tensor: tf.Tensor) -> list[tf.Tensor]:
        """Return the tensors of the replicas of this group, in order of time; called in a replica, by all alike.

        Args:
            tensor: (size,), equal for all replicas of a group.
        """
        strategy, context = tf.distribute.get_strategy(), tf.distribute.get_replica_context()
        count = strategy.num_replicas_in_sync
        first = self.position()[0] * self.slices
        members = range(first, first + self.slices)
        collectives = getattr(strategy, "tfpar_collectives", None)
        if collectives is not None:
            gather = TensorGather(collectives, count, members, shape_error=DIFFERENT_BATCHES)
            return [tf.ensure_shape(each, tensor.shape) for each in gather(tensor)]
        if count == len(strategy.extended.worker_devices):  # all are in this process

            def merge(strategy, value):
                return strategy.experimental_local_results(value)

            # Replicas' tensors are told apart only if they were made in the replica.
            tensors = context.merge_call(merge, args=(tf.identity(tensor),))
            return [tensors[member] for member in members]
        if self.groups == 1:
            return tf.unstack(context.all_gather(tensor[None], axis=0), count)
        sizes = context.all_gather(tf.shape(tensor), axis=0)
        tensors = tf.split(context.all_gather(tensor, axis=0), sizes, num=count)
        return [tf.ensure_shape(tensors[member], tensor.shape) for member in members]

    def join_outputs(self, strategy: tf.distribute.Strategy, output: tf.Tensor, has_time: bool) -> tf.Tensor:
        """Concatenate an output of all replicas; called across replicas.

        Args:
            strategy: of the replicas.
            output: distributed tensor, (rows of the group, ...).
            has_time: its second axis has the steps of a slice; else it is equal within a group.
        """
        tensors = self._gather_replicas(strategy, output)
        groups = [tensors[begin : begin + self.slices] for begin in range(0, len(tensors), self.slices)]
        return tf.concat([tf.concat(group, axis=1) if has_time else group[0] for group in groups], axis=0)

    def _gather_replicas(self, strategy, output) -> list[tf.Tensor]:
        """Return the tensors of all replicas, whose shapes may differ."""
        shapes = strategy.gather(strategy.run(lambda tensor: tf.shape(tensor)[None], args=(output,)), axis=0)
        flat = strategy.gather(strategy.run(lambda tensor: tf.reshape(tensor, [-1]), args=(output,)), axis=0)
        pieces = tf.split(flat, tf.reduce_prod(shapes, axis=1), num=self.groups * self.slices)
        own = strategy.experimental_local_results(output)[0]
        static = [None, None, *own.shape[2:]][: own.shape.rank]
        return [
            tf.ensure_shape(tf.reshape(piece, shape), static)
            for piece, shape in zip(pieces, tf.unstack(shapes, len(pieces)), strict=True)
        ]
