"""Parts of a batch, computed as if each were alone and then added up: the shares of replicas, and batch lanes in them.

Lanes are for CPUs. XLA runs the steps of a time loop on one core; the loops over two halves of a batch are independent,
and TensorFlow runs two programs at once. There is one copy of the variables on each replica and one update, and parts
of one shape share one compiled program.
"""

from typing import NamedTuple

import keras
import tensorflow as tf

from tfpar.layers.dropout import first_row, rows_begin_at
from tfpar.train import row_gradients
from tfpar.train.replica import own_component
from tfpar.train.sharding import part_of_rows, row_count


class PartSums(NamedTuple):
    """What is added up over parts.

    Attributes:
        gradients: of the part's summed loss, one for each trainable variable; None, or `tf.IndexedSlices` of a table.
        weight: float32 scalar, of the part's loss.
        rows: float32 scalar.
        counters: what the part added to each of the metrics' variables.
        statistics: moving statistics that it assigned, times its rows.
        fingerprints: see `tfpar.train.sharding`; empty until the replica adds them.
    """

    gradients: list
    weight: tf.Tensor
    rows: tf.Tensor
    counters: list
    statistics: list
    fingerprints: list = []


def has_one_shape(batch) -> bool:
    """Whether all batches that a nest of tensors, with None for what is absent, describes have the same shape."""
    return all(leaf is None or leaf.shape.is_fully_defined() for leaf in tf.nest.flatten(batch))


def split_rows(data, lanes: int) -> list:
    """Cuts this replica's share into lanes.

    Returns:
        For each lane the place of its first row in the global batch, an int32 scalar, and the nest of its rows.
    """
    place = tf.convert_to_tensor(first_row(row_count(data)), tf.int32)
    if lanes == 1:
        return [(place, data)]
    parts = [part_of_rows(data, lane, lanes) for lane in range(lanes)]
    return [(place + begin, rows) for begin, rows in parts]


class Part:
    """Computes a part's sums without assigning to any variable.

    Args:
        forward_backward: see `tfpar.train.Model`.
        counters: variables that parts add to, those of metrics.
        variables: all others.

    Attributes:
        statistics: floating-point variables that `forward_backward` assigns to, known once it was traced.
        seeds: all others that it assigns to; it assigns the same to them whatever the rows.
    """

    def __init__(self, forward_backward, counters, variables):
        self._forward_backward = forward_backward
        self._counters = counters
        self._variables = variables
        self.statistics, self.seeds = [], []

    def __call__(self, place, data) -> tuple[PartSums, list]:
        """Returns the sums, and the values of `seeds`."""
        (gradients, weight, _), values = run_part(self._forward_backward, place, data, self._counters, self._variables)
        assigned = [variable for variable in self._variables if id(variable) in values]
        self.statistics = [v for v in assigned if values[id(v)].dtype.is_floating]
        self.seeds = [v for v in assigned if not values[id(v)].dtype.is_floating]
        rows = tf.cast(row_count(data), tf.float32)
        counted = [values[id(counter)] for counter in self._counters]
        # Statistics of no rows are not numbers.
        statistics = [
            tf.where(rows > 0, v * tf.cast(rows, v.dtype), 0) for v in (values[id(s)] for s in self.statistics)
        ]
        return PartSums(gradients, weight, rows, counted, statistics), [values[id(seed)] for seed in self.seeds]


def add_parts(parts: list[PartSums]) -> PartSums:
    """Adds the sums of lanes."""
    if len(parts) == 1:
        return parts[0]
    return tf.nest.map_structure(lambda *tensors: None if tensors[0] is None else row_gradients.add(tensors), *parts)


def run_part(function, place, rows, counters, variables):
    """Runs a function of a part's rows. It may assign to variables, but the part only notes what.

    Args:
        function: rows -> nest of tensors.
        place: of the first row in the global batch.
        rows: nest of tensors.
        counters: variables that are zero where the part begins.
        variables: all others that the function may read or assign to.

    Returns:
        What the function returns, and a dict by variable id of the values that it assigned, and of all counters.
    """
    zeros = [(variable, tf.zeros(variable.shape, variable.dtype)) for variable in counters]
    scope = keras.StatelessScope(state_mapping=zeros, collect_losses=True)
    # Keras asks the scope, and no one else, for weights with a regularizer.
    regularised = {id(v): own_component(v.value) for v in variables if getattr(v, "regularizer", None) is not None}
    scope.state_mapping.update(regularised)
    with scope, rows_begin_at(place):
        result = function(rows)
    return result, {key: value for key, value in scope.state_mapping.items() if key not in regularised}
