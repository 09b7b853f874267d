"""What has to be made within the scope of a `tf.distribute` strategy."""

import tensorflow as tf

from tfpar.keras_private import flatten_layers


def check_scope(model) -> None:
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
                raise ValueError(_not_in_scope(owner, variable, replicas))


def _not_in_scope(owner, variable, replicas):
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


def _variables_by_owner(model):
    # What `adapt` has learned is constant.
    adapted = {id(v) for layer in flatten_layers(model) if hasattr(layer, "adapt") for v in layer.variables}
    yield "layers", [variable for variable in model.variables if id(variable) not in adapted]
    yield "optimizer", model.optimizer.variables if getattr(model, "optimizer", None) else []
    yield "metrics", [variable for metric in model.metrics for variable in metric.variables]
