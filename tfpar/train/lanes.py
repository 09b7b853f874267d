"""Batch lanes: parts of a replica's share that are computed at the same time, one on each core of a CPU.

XLA for CPUs runs the steps of a time loop on one core. The loops over two halves of a batch are independent, and
TensorFlow runs two programs at once. What lanes compute is added up, as it is over replicas; but there is one copy of
the variables and one update, and lanes of one shape share one compiled program.
"""

import keras
import tensorflow as tf

from tfpar.layers.dropout import first_row, rows_begin_at


def split_rows(data, lanes: int) -> list:
    """Parts a nest of tensors (rows, ...) as evenly as the rows allow.

    Returns:
        For each lane the place of its first row in the global batch, an int32 scalar, and the nest of its rows.
    """
    leaf = tf.nest.flatten(data)[0]
    rows = tf.shape(leaf)[0] if leaf.shape[0] is None else leaf.shape[0]
    size = -(-rows // lanes)
    begins = [number * size for number in range(lanes)]

    def rows_from(begin):
        return tf.nest.map_structure(lambda tensor: None if tensor is None else tensor[begin : begin + size], data)

    return [(tf.convert_to_tensor(first_row(rows) + begin, tf.int32), rows_from(begin)) for begin in begins]


def run_lane(function, place, rows, counters, variables):
    """Runs a function of a lane's rows. It may assign to variables, but the lane only notes what.

    Args:
        function: rows -> nest of tensors.
        place: of the first row in the global batch.
        rows: nest of tensors.
        counters: variables that lanes add to, such as those of metrics; they are zero where a lane begins.
        variables: all others that the function may read or assign to.

    Returns:
        What the function returns, and a dict by variable id of the values that it assigned.
    """
    zeros = [(variable, tf.zeros(variable.shape, variable.dtype)) for variable in counters]
    scope = keras.StatelessScope(state_mapping=zeros)
    # Keras asks the scope, and no one else, for weights with a regularizer.
    regularised = {id(v): v.value for v in variables if getattr(v, "regularizer", None) is not None}
    scope.state_mapping.update(regularised)
    with scope, rows_begin_at(place):
        result = function(rows)
    return result, {key: value for key, value in scope.state_mapping.items() if key not in regularised}


def assign_from_lanes(variable: keras.Variable, values: list[tf.Tensor], is_counter: bool) -> None:
    """Assigns what lanes noted: counters are added up, moving statistics averaged; seeds are the same in all lanes."""
    if is_counter:
        variable.assign_add(tf.add_n(values))
    elif values[0].dtype.is_floating:
        variable.assign(tf.add_n(values) / len(values))
    else:
        variable.assign(values[0])
