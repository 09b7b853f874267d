"""`CarriedStates`: the states of stateful layers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

if TYPE_CHECKING:
    from tfpar.layers.recurrent.base import RecurrentLayer


class CarriedStates:
    """States of a stateful layer, in an object that Keras does not track, since they are not weights."""

    def __init__(self):
        self.variables: list[keras.Variable] | None = None

    def create(self, layer: "RecurrentLayer", batch_size: int | None) -> None:
        if batch_size is None:
            raise ValueError(
                f"{layer.name}: stateful=True needs a static batch size, but the input's is unknown. "
                "Give it in keras.Input(batch_shape=(batch, steps, features))."
            )
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas > 1:
            raise ValueError(
                f"{layer.name}: stateful=True cannot be trained on {replicas} replicas: a row would get the states of "
                "another row. Use one replica, or pass `initial_state` and `return_state`."
            )
        self.variables = [
            keras.Variable(
                keras.ops.zeros((batch_size, units)), trainable=False, dtype=layer.variable_dtype, name="state"
            )
            for units in layer.state_size
        ]

    def check_batch_size(self, layer: "RecurrentLayer", batch_size: int | None) -> None:
        assert self.variables is not None  # the layer is built
        expected = self.variables[0].shape[0]
        if batch_size not in (None, expected):
            raise ValueError(f"{layer.name}: stateful=True was built for batches of {expected} rows; got {batch_size}.")

    def assign(self, states: Sequence[tf.Tensor]) -> None:
        for variable, state in zip(self.variables or (), states, strict=True):
            variable.assign(state)
