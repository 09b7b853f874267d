"""Plain variables and optimizer methods for one replica, so that Keras' single-device code works unchanged.

Under a strategy each variable has one component per replica. Keras' code for training was written for one device,
and where it meets distributed variables it calls back across replicas (`merge_call`), which cannot happen inside
XLA, a `tf.cond` or a loop. With the components instead, the same code runs as on one device, all of it under XLA.
Mirrored variables stay equal because every replica applies the same all-reduced gradients to them.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfpar.keras_private import single_device_updates, values_replaced


@contextlib.contextmanager
def local_components(variables: Sequence[keras.Variable]) -> Iterator[None]:
    """Within this context, in a replica, `keras.Variable`s read and write this replica's components.

    With one replica it does nothing.

    Args:
        variables: each at most once.
    """
    with values_replaced(variables, [local_component(variable.value) for variable in variables]):
        yield


def local_component(value: Any) -> Any:
    """Return this replica's component of a distributed variable; any other value unchanged."""
    if not isinstance(value, tf.distribute.DistributedValues):
        return value
    strategy = tf.distribute.get_strategy()
    replica = tf.get_static_value(tf.distribute.get_replica_context().replica_id_in_sync_group)
    if replica is None:  # on a TPU, where one program serves all replicas
        return value
    return strategy.experimental_local_results(value)[replica % len(strategy.extended.worker_devices)]


@contextlib.contextmanager
def single_device(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Within this context an optimizer, and those inside it, update variables as Keras' do on one device."""
    with contextlib.ExitStack() as stack:
        for each in nested_optimizers(optimizer):
            stack.enter_context(single_device_updates(each))
        yield


def nested_optimizers(optimizer: keras.optimizers.Optimizer) -> list[keras.optimizers.Optimizer]:
    """List an optimizer and all optimizers in its attributes, at any depth."""
    inner = [value for value in _attribute_values(optimizer) if isinstance(value, keras.optimizers.Optimizer)]
    return [optimizer, *(nested for each in inner for nested in nested_optimizers(each))]


def optimizer_variables(optimizer: keras.optimizers.Optimizer | None) -> list[keras.Variable]:
    """List the variables of an optimizer and of those inside it, with those that Keras does not track, as in Nadam."""
    if optimizer is None:
        return []
    held = [
        v for each in nested_optimizers(optimizer) for v in _attribute_values(each) if isinstance(v, keras.Variable)
    ]
    return list({id(variable): variable for variable in (*optimizer.variables, *held)}.values())


def all_variables(model: keras.Model) -> list[keras.Variable]:
    """List the variables of a model, of its optimizer and of its metrics."""
    metrics = [variable for metric in model.metrics for variable in metric.variables]
    variables = [*model.variables, *optimizer_variables(getattr(model, "optimizer", None)), *metrics]
    return list({id(variable): variable for variable in variables}.values())


def metric_and_other_variables(model: keras.Model) -> tuple[list[keras.Variable], list[keras.Variable]]:
    """List the variables of a model's metrics, and all others of `all_variables`."""
    metrics = {id(variable): variable for metric in model.metrics for variable in metric.variables}
    return list(metrics.values()), [v for v in all_variables(model) if id(v) not in metrics]


def _attribute_values(owner):
    for value in vars(owner).values():
        yield from value if isinstance(value, (list, tuple)) else (value,)
