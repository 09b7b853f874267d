"""Checks of a model before it trains, evaluates or predicts."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import keras
import tensorflow as tf

from tfpar.keras_private import compiled_loss, flatten_layers


@runtime_checkable
class SynchronizedLayer(Protocol):
    """A layer that may synchronize replicas within the forward pass, such as `keras.layers.BatchNormalization`.

    Attributes:
        synchronized: whether it does.
    """

    synchronized: bool


def check_scope(model: keras.Model) -> None:
    """Refuse a model that is partly made outside of its strategy's scope.

    Args:
        model: `tfpar.train.Model`, whose method was called within a scope or outside of any.

    Raises:
        ValueError: the scope, the model's variables and those of its optimizer do not belong to one strategy.
    """
    replicas = model.distribute_strategy.num_replicas_in_sync
    for owner, variables in _variables_by_owner(model):
        for variable in variables:
            if isinstance(variable.value, tf.distribute.DistributedValues) != (replicas > 1):
                raise ValueError(_describe_scope_error(owner, variable, replicas))


def check_synchronized_layers(model: keras.Model) -> None:
    """Refuse layers that synchronize replicas within the forward pass, if XLA or lanes are in use.

    Raises:
        ValueError: names the layer.
    """
    names = find_synchronized_layers(model)
    if names and (model.jit_compile or model.lanes > 1):
        raise ValueError(
            f"{names[0]} has synchronized=True, for which replicas must meet in the middle of the forward pass. "
            f"XLA cannot compile that, and lanes do not meet: use compile(jit_compile=False) and lanes=1, or "
            f"synchronized=False; got jit_compile={model.jit_compile}, lanes={model.lanes}."
        )


def check_runs_own_step(model: keras.Model) -> None:
    """Refuse to run a subclass's own `train_step` on several replicas; called in a replica.

    Raises:
        ValueError: there are several replicas.
    """
    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    if replicas > 1:
        raise ValueError(
            f"{type(model).__name__} has its own `train_step`, which cannot run on {replicas} replicas: gradients "
            "are summed over replicas between forward_backward and apply_gradients. Override `forward_backward` "
            "instead, or use one replica."
        )


def check_loss_is_built(model: keras.Model) -> None:
    """Refuse a step on several replicas whose loss would be built within the replicas, where it would be wrong.

    Raises:
        ValueError: neither `fit` nor `train_on_batch` came first.
    """
    loss = compiled_loss(model)
    replicas = model.distribute_strategy.num_replicas_in_sync
    # A model with a `compute_loss` of its own need not use the loss that it is compiled with.
    is_unused = model.has_seen_data and type(model).compute_loss is not keras.Model.compute_loss
    if replicas > 1 and loss is not None and not loss.built and not is_unused:
        raise ValueError(
            f"`make_train_function` and `make_test_function` need a loss that was built from data on {replicas} "
            "replicas; got a model that has seen none. Call `fit`, `evaluate` or `train_on_batch` instead, or before."
        )


def find_synchronized_layers(model: keras.Model) -> list[str]:
    """List the names of layers that synchronize replicas within the forward pass; none on one replica."""
    return list_synchronized_layers(model) if model.distribute_strategy.num_replicas_in_sync > 1 else []


def list_synchronized_layers(model: keras.Model) -> list[str]:
    """List the names of layers that synchronize replicas within the forward pass, or would if there were several."""
    return [layer.name for layer in flatten_layers(model) if _is_synchronized(layer)]


def _is_synchronized(layer: object) -> bool:
    return isinstance(layer, SynchronizedLayer) and layer.synchronized


def _describe_scope_error(owner, variable, replicas) -> str:
    if replicas == 1:
        return (
            f"The {owner} must be made outside of a strategy's scope, as the model was; its variable {variable.path!r} "
            "was made within one. Build and compile the model within `with strategy.scope():`."
        )
    return (
        f"The {owner} of a model on {replicas} replicas must be made within `with strategy.scope():`; its variable "
        f"{variable.path!r} was made outside of it. Build the model, make its optimizer and metrics, and call "
        "`compile` within the scope."
    )


def _variables_by_owner(model) -> Iterator[tuple[str, list[keras.Variable]]]:
    # Variables that `adapt` sets are constant in training.
    adapted = {id(v) for layer in flatten_layers(model) if hasattr(layer, "adapt") for v in layer.variables}
    yield "layers", [variable for variable in model.variables if id(variable) not in adapted]
    yield "optimizer", model.optimizer.variables if getattr(model, "optimizer", None) else []
    yield "metrics", [variable for metric in model.metrics for variable in metric.variables]
