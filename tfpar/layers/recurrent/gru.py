"""`GRU`: the layer around `tfpar.ops.gru`."""

import keras
import tensorflow as tf

from tfpar.layers.recurrent.base import GatedRecurrentLayer, name_arguments
from tfpar.ops.activations import Activation
from tfpar.ops.gru import GRU as Recurrence
from tfpar.ops.gru import ResetBeforeGRU


@keras.saving.register_keras_serializable(package="tfpar")
class GRU(GatedRecurrentLayer):
    """Gated recurrent unit; a drop-in replacement for `keras.layers.GRU`.

    Args:
        units: number of units.
        activation: of the candidate.
        recurrent_activation: of the update and reset gates.
        use_bias: add a bias.
        *more: further arguments in the order of `keras.layers.GRU`.
        reset_after: apply the reset gate after the recurrent matmul (Keras' default and cuDNN's form), or before it.
            The former has two biases, in one weight (2, 3 * units): of the projection and of the recurrence.
        **kwargs: see `GatedRecurrentLayer`.

    Call arguments, errors: see `GatedRecurrentLayer`. States: [h].

    Example:

    >>> output, state = GRU(4, return_state=True)(np.ones((2, 5, 3), "float32"))
    >>> tuple(output.shape), tuple(state.shape)
    ((2, 4), (2, 4))
    """

    def __init__(
        self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True, *more, reset_after=True, **kwargs
    ):
        named = name_arguments(keras.layers.GRU, 4, more)
        self.reset_after = named.pop("reset_after", reset_after)
        super().__init__(units, activation, recurrent_activation, use_bias, **named, **kwargs)

    def _make_recurrence(self):
        form = Recurrence if self.reset_after else ResetBeforeGRU
        return form(Activation(self.activation), Activation(self.recurrent_activation))

    def _bias_shape(self):
        return (2, 3 * self.units) if self.reset_after else super()._bias_shape()

    def _biases(self):
        if self.bias is None or not self.reset_after:
            return super()._biases()
        return tuple(tf.unstack(tf.convert_to_tensor(self.bias)))

    def get_config(self):
        return {**super().get_config(), "reset_after": self.reset_after}
