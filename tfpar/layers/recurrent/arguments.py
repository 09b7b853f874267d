"""Arguments of recurrent layers: their form in a layer's config, and the check of `initial_state`."""

from typing import TYPE_CHECKING, Any

import tensorflow as tf
from keras import activations, constraints, initializers, regularizers

from tfpar.layers.argument_types import States

if TYPE_CHECKING:
    from tfpar.layers.recurrent.base import RecurrentLayer

_OBJECTS = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}
_VALUES = (
    "units",
    "use_bias",
    "dropout",
    "recurrent_dropout",
    "seed",
    "return_sequences",
    "return_state",
    "go_backwards",
    "stateful",
    "unroll",
    "zero_output_for_mask",
    "evaluation",
)


def serialize_arguments(layer: "RecurrentLayer") -> dict[str, Any]:
    """Return the arguments of the layer's constructor, but for those of `keras.layers.Layer`."""
    config = {name: getattr(layer, name) for name in _VALUES}
    config["activation"] = activations.serialize(layer.activation)
    for role in ("kernel", "recurrent", "bias"):
        for kind, module in _OBJECTS.items():
            config[f"{role}_{kind}"] = module.serialize(getattr(layer, f"{role}_{kind}"))
    config["activity_regularizer"] = regularizers.serialize(layer.activity_regularizer)
    return config


def convert_initial_state(
    layer: "RecurrentLayer", initial_state: States, batch: int | None
) -> tuple[tf.Tensor, ...] | None:
    """Return the states as tensors of the layer's compute dtype, or None for zeros.

    Args:
        layer: whose states they are.
        initial_state: see `RecurrentLayer`.
        batch: number of rows of the input, if it is static.

    Raises:
        ValueError: there are too many or too few states, or one has the wrong shape.
    """
    if initial_state is None:
        return None
    states = list(initial_state) if isinstance(initial_state, (list, tuple)) else [initial_state]
    if len(states) != layer.recurrence.num_states:
        raise ValueError(
            f"`initial_state` must hold {layer.recurrence.num_states} tensor(s) of shape (batch, {layer.units}) for "
            f"{type(layer).__name__}; got {len(states)}."
        )
    for state, units in zip(states, layer.state_size, strict=True):
        if not tf.TensorShape((batch, units)).is_compatible_with(state.shape):
            raise ValueError(
                f"`initial_state` of {layer.name} must hold tensors of shapes "
                f"{', '.join(f'(batch, {size})' for size in layer.state_size)}; got {tuple(state.shape)} for "
                f"{'an unknown number of' if batch is None else batch} rows. "
                "Pass the states that `return_state` returns."
            )
    return tuple(tf.cast(tf.convert_to_tensor(state), layer.compute_dtype) for state in states)
