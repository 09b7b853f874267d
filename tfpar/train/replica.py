"""One replica's own view of variables and optimizer, in which Keras' single-device code is right as it stands.

Under a strategy each variable has one component per replica. Keras' code for training was written for one device,
and where it meets distributed variables it calls back across replicas (`merge_call`), which cannot happen inside
XLA, a `tf.cond` or a loop. Given the components instead, the same code runs as on one device, all of it under XLA.
Mirrored variables stay equal because every replica applies the same all-reduced gradients to them.
"""

import contextlib

import keras
import tensorflow as tf

from tfpar.keras_private import single_device_updates, values_replaced


@contextlib.contextmanager
def own_components(variables):
    """Within a replica: `keras.Variable`s read and write this replica's components. With one replica it does nothing.

    Args:
        variables: `keras.Variable`s, each at most once.
    """
    with values_replaced(variables, [own_component(variable.value) for variable in variables]):
        yield


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
    """Within this context an optimizer, and those inside it, update variables as Keras' do on one device."""
    with contextlib.ExitStack() as stack:
        for one in nested_optimizers(optimizer):
            stack.enter_context(single_device_updates(one))
        yield


def nested_optimizers(optimizer) -> list:
    """The optimizer, and all that it holds in its attributes."""
    inner = [value for value in _attribute_values(optimizer) if isinstance(value, keras.optimizers.Optimizer)]
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
