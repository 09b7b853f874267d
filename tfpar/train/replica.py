"""One replica's own view of variables and optimizer, in which Keras' single-device code is right as it stands.

Under a strategy each variable has one component per replica. Keras' code for training was written for one device,
and where it meets distributed variables it calls back across replicas (`merge_call`), which cannot happen inside
XLA, a `tf.cond` or a loop. Given the components instead, the same code runs as on one device, all of it under XLA.
Mirrored variables stay equal because every replica applies the same all-reduced gradients to them.
"""

import contextlib
import types

import keras
import tensorflow as tf

from tfpar.contexts import attributes_set
from tfpar.train.row_gradients import as_tensor, in_own_place, numbered

_CROSS_REPLICA_METHODS = (
    "_apply_weight_decay",
    "_backend_increment_gradient_accumulators",
    "_backend_update_step",
    "_overwrite_model_variables_with_average_value",
)


@contextlib.contextmanager
def own_components(variables):
    """Within a replica: `keras.Variable`s read and write this replica's components. With one replica it does nothing.

    Args:
        variables: `keras.Variable`s, each at most once.
    """
    distributed = [variable.value for variable in variables]
    try:
        for variable, value in zip(variables, distributed, strict=True):
            variable._value = own_component(value)
        yield
    finally:
        for variable, value in zip(variables, distributed, strict=True):
            variable._value = value


def own_component(value):
    """Within a replica: this replica's component of a distributed variable; any other value as it is."""
    if not isinstance(value, tf.distribute.DistributedValues):
        return value
    strategy = tf.distribute.get_strategy()
    replica = tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group)
    if replica is None:  # on a TPU, where one program serves all replicas
        return value
    return strategy.experimental_local_results(value)[replica % len(strategy.extended.worker_devices)]


@contextlib.contextmanager
def single_device(optimizer):
    """Gives an optimizer back the backend-neutral methods that Keras' TensorFlow optimizers override."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(attributes_set(optimizer, _single_device_methods(optimizer)))
        if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
            inner = optimizer.inner_optimizer
            stack.enter_context(attributes_set(optimizer, {"_tf_apply": optimizer._common_apply}))
            stack.enter_context(attributes_set(inner, _single_device_methods(inner)))
        yield


def _single_device_methods(optimizer):
    """The methods to replace, by name."""
    original = next(base for base in type(optimizer).__mro__ if base.__name__ == "BaseOptimizer")
    return {name: types.MethodType(getattr(original, name), optimizer) for name in _CROSS_REPLICA_METHODS}


def all_reduce_sum(nest, moves_rows: bool = False):
    """Sums a nest of tensors, with None for what is absent, over all replicas; called in a replica.

    With one replica it returns them as they are.

    Args:
        nest: of tensors and `tf.IndexedSlices`.
        moves_rows: move the latter as they are, which needs equally many rows on each replica, and not the whole
            tables.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return nest
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
