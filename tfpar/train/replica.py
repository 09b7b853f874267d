"""One replica's own view of variables and optimizer, in which Keras' single-device code is right as it stands.

Under a strategy each variable has one component per replica. Keras' code for training was written for one device,
and where it meets distributed variables it calls back across replicas (`merge_call`), which cannot happen inside
XLA, a `tf.cond` or a loop. Given the components instead, the same code runs as on one device, all of it under XLA.
Mirrored variables stay equal because every replica applies the same all-reduced gradients to them.
"""

import contextlib
import functools

import keras
import tensorflow as tf
from keras.src.backend.tensorflow.optimizer import TFOptimizer
from keras.src.optimizers.base_optimizer import BaseOptimizer

from tfpar.contexts import attributes_set


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
    """Within this context an optimizer, and those inside it, update variables as Keras' do on one device.

    What their own classes override stays in force: only TensorFlow's hooks behind it are replaced.
    """
    with contextlib.ExitStack() as stack:
        for one in nested_optimizers(optimizer):
            stack.enter_context(_class_set(one, _single_device_class(type(one))))
            if getattr(type(one), "_tf_apply", None) is keras.optimizers.LossScaleOptimizer._tf_apply:
                stack.enter_context(attributes_set(one, {"_tf_apply": one._common_apply}))
        yield


def nested_optimizers(optimizer) -> list:
    """The optimizer, and all that it holds in its attributes."""
    inner = [value for value in _attribute_values(optimizer) if isinstance(value, BaseOptimizer)]
    return [optimizer, *(nested for one in inner for nested in nested_optimizers(one))]


def optimizer_variables(optimizer) -> list[keras.Variable]:
    """Variables of an optimizer and of those inside it, also the ones that Keras does not track, such as Nadam's."""
    if optimizer is None:
        return []
    held = [v for one in nested_optimizers(optimizer) for v in _attribute_values(one) if isinstance(v, keras.Variable)]
    return list({id(variable): variable for variable in (*optimizer.variables, *held)}.values())


def _attribute_values(owner):
    for value in vars(owner).values():
        yield from value if isinstance(value, (list, tuple)) else (value,)


class _SingleDeviceHooks(TFOptimizer):
    """The hooks that `TFOptimizer` overrides for strategies, as on one device."""

    _apply_weight_decay = BaseOptimizer._apply_weight_decay
    _backend_increment_gradient_accumulators = BaseOptimizer._backend_increment_gradient_accumulators
    _overwrite_model_variables_with_average_value = BaseOptimizer._overwrite_model_variables_with_average_value

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            # As from `TFOptimizer`, a step is given TensorFlow's variable.
            self.update_step(
                gradient, variable.value if isinstance(variable, keras.Variable) else variable, learning_rate
            )


@functools.cache
def _single_device_class(cls):
    """`cls` with `_SingleDeviceHooks` between its own methods and those of `TFOptimizer`."""
    if issubclass(cls, _SingleDeviceHooks):
        return cls
    return type(cls)(cls.__name__, (cls, _SingleDeviceHooks), {"__module__": cls.__module__, "__doc__": cls.__doc__})


@contextlib.contextmanager
def _class_set(instance, cls):
    """Within this context `instance` is one of `cls`."""
    former = type(instance)
    object.__setattr__(instance, "__class__", cls)
    try:
        yield
    finally:
        object.__setattr__(instance, "__class__", former)
