"""`LSTM`: the layer around `tfpar.ops.lstm`."""

import keras
from keras import initializers

from tfpar.layers.recurrent.base import GatedRecurrentLayer, name_arguments
from tfpar.ops.activations import Activation
from tfpar.ops.lstm import LSTM as Recurrence


@keras.saving.register_keras_serializable(package="tfpar")
class LSTM(GatedRecurrentLayer):
    """Long short-term memory; a drop-in replacement for `keras.layers.LSTM`.

    Args:
        units: number of units.
        activation: of the candidate and of the cell's reading.
        recurrent_activation: of the input, forget and output gates.
        use_bias: add a bias.
        *more: further arguments in the order of `keras.layers.LSTM`.
        unit_forget_bias: begin with a forget gate bias of 1, so that the cell remembers (Jozefowicz et al. 2015).
        **kwargs: see `GatedRecurrentLayer`.

    Call arguments, errors: see `GatedRecurrentLayer`. States: [h, c].

    Example:

    >>> sequences = np.ones((2, 5, 3), "float32")
    >>> tuple(LSTM(4, return_sequences=True)(sequences).shape)
    (2, 5, 4)
    """

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        *more,
        unit_forget_bias=True,
        **kwargs,
    ):
        named = name_arguments(keras.layers.LSTM, 4, more)
        self.unit_forget_bias = named.pop("unit_forget_bias", unit_forget_bias)
        super().__init__(units, activation, recurrent_activation, use_bias, **named, **kwargs)

    def _make_recurrence(self):
        return Recurrence(Activation(self.activation), Activation(self.recurrent_activation))

    def _initialize_bias(self, shape, dtype=None):
        if not self.unit_forget_bias:
            return super()._initialize_bias(shape, dtype)
        gate = (self.units,)
        return keras.ops.concatenate(
            [
                self.bias_initializer(gate, dtype=dtype),
                initializers.Ones()(gate, dtype=dtype),
                self.bias_initializer((2 * self.units,), dtype=dtype),
            ]
        )

    def get_config(self):
        return {**super().get_config(), "unit_forget_bias": self.unit_forget_bias}
