"""Microbatches: rows of a global batch that are computed independently, and whose sums are then added.

Each replica has a shard of the batch, and cuts it into one microbatch for each lane. Lanes are for CPUs. XLA runs the
steps of a time loop on one core; the loops over two microbatches are independent, and TensorFlow runs two programs at
once. Each replica has one copy of the variables and makes one update, and microbatches of one shape share one compiled
program.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from tfpar.layers.call_context import first_row, rows_begin_at
from tfpar.train import row_gradients
from tfpar.train.replica import local_component
from tfpar.train.sharding import row_count, slice_rows
from tfpar.train.types import Gradient, Nest


class MicrobatchSums(NamedTuple):
    """Sums over the rows of a microbatch, which are added over microbatches.

    Attributes:
        gradients: of the microbatch's summed loss, one for each trainable variable; None, or `tf.IndexedSlices` of an
            embedding table.
        weight: of the microbatch's loss, float32 scalar.
        rows: float32 scalar.
        metrics: increments of the metrics' variables.
        statistics: moving statistics that the microbatch assigned, times its rows.
        fingerprints: see `tfpar.train.sharding.fingerprint_terms`; empty until the replica adds them.
        non_finite: number of replicas whose loss is not finite, in a list; empty if it is not counted.
    """

    gradients: list[Gradient | None]
    weight: tf.Tensor
    rows: tf.Tensor
    metrics: list
    statistics: list
    fingerprints: list = []
    non_finite: list = []


def has_static_shape(batch: Nest) -> bool:
    """Return whether a nest of tensors, with None for absent ones, has the same shape for all batches."""
    return all(leaf is None or leaf.shape.is_fully_defined() for leaf in tf.nest.flatten(batch))


def split_shard(shard: Nest, lanes: int) -> list[tuple[tf.Tensor, Nest]]:
    """Cut this replica's shard into one microbatch for each lane.

    Returns:
        For each lane the offset of its first row in the global batch, an int32 scalar, and the nest of its rows.
    """
    offset = tf.convert_to_tensor(first_row(row_count(shard)), tf.int32)
    if lanes == 1:
        return [(offset, shard)]
    slices = [slice_rows(shard, lane, lanes) for lane in range(lanes)]
    return [(offset + begin, rows) for begin, rows in slices]


class MicrobatchFunction:
    """Function that computes a microbatch's sums without an assignment to any variable.

    Args:
        forward_backward: see `tfpar.train.Model`.
        metric_variables: variables that microbatches add to.
        variables: all others.

    Attributes:
        statistics: floating-point variables that `forward_backward` assigns to, known once it was traced.
        seeds: all others that it assigns to; it assigns the same values whatever the rows.
    """

    def __init__(
        self,
        forward_backward: Callable,
        metric_variables: Sequence[keras.Variable],
        variables: Sequence[keras.Variable],
    ):
        self._forward_backward = forward_backward
        self._metric_variables = metric_variables
        self._variables = variables
        self.statistics: list[keras.Variable] = []
        self.seeds: list[keras.Variable] = []

    def __call__(self, offset: tf.Tensor, rows) -> tuple[MicrobatchSums, list]:
        """Return the sums, and the values of `seeds`."""
        (gradients, weight, _), values = run_statelessly(
            self._forward_backward, offset, rows, self._metric_variables, self._variables
        )
        assigned = [variable for variable in self._variables if id(variable) in values]
        self.statistics = [v for v in assigned if values[id(v)].dtype.is_floating]
        self.seeds = [v for v in assigned if not values[id(v)].dtype.is_floating]
        count = tf.cast(row_count(rows), tf.float32)
        # Statistics of no rows are NaN.
        statistics = [
            tf.where(count > 0, v * tf.cast(count, v.dtype), 0) for v in (values[id(s)] for s in self.statistics)
        ]
        metrics = [values[id(variable)] for variable in self._metric_variables]
        return MicrobatchSums(gradients, weight, count, metrics, statistics), [values[id(seed)] for seed in self.seeds]


def add_sums(sums: Sequence[MicrobatchSums]) -> MicrobatchSums:
    """Add the sums of several microbatches."""
    if len(sums) == 1:
        return sums[0]
    return tf.nest.map_structure(lambda *tensors: None if tensors[0] is None else row_gradients.add(tensors), *sums)


def run_statelessly(
    function: Callable,
    offset: tf.Tensor,
    rows: Nest,
    metric_variables: Sequence[keras.Variable],
    variables: Sequence[keras.Variable],
) -> tuple[Nest, dict[int, tf.Tensor]]:
    """Run a function of a microbatch's rows that may assign to variables, and return the values that it assigns.

    Args:
        function: rows -> nest of tensors.
        offset: of the first row in the global batch.
        rows: nest of tensors.
        metric_variables: variables that are zero at the start.
        variables: all others that the function may read or assign to.

    Returns:
        The function's result, and a dict by variable id of the assigned values and those of all `metric_variables`.
    """
    zeros = [(variable, tf.zeros(variable.shape, variable.dtype)) for variable in metric_variables]
    scope = keras.StatelessScope(state_mapping=zeros, collect_losses=True)
    # Keras reads weights that have a regularizer from the scope alone.
    regularized = {id(v): local_component(v.value) for v in variables if getattr(v, "regularizer", None) is not None}
    scope.state_mapping.update(regularized)
    with scope, rows_begin_at(offset):
        result = function(rows)
    return result, {key: value for key, value in scope.state_mapping.items() if key not in regularized}
