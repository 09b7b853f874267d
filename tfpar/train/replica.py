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
