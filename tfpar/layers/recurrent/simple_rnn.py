"""`SimpleRNN`: the layer around `tfpar.ops.simple_rnn`."""

import keras

from tfpar.layers.recurrent.base import RecurrentLayer, name_arguments
from tfpar.ops.activations import Activation
from tfpar.ops.simple_rnn import SimpleRNN as Recurrence


@keras.saving.register_keras_serializable(package="tfpar")
class SimpleRNN(RecurrentLayer):
    """Fully connected recurrent layer; a drop-in replacement for `keras.layers.SimpleRNN`.

    Args:
        units: number of units.
        activation: of the output.
        use_bias: add a bias.
        *more: further arguments in the order of `keras.layers.SimpleRNN`.
        **kwargs: see `RecurrentLayer`.

    Call arguments, errors: see `RecurrentLayer`. States: [h].

    Example:

    >>> tuple(SimpleRNN(4, go_backwards=True)(np.ones((2, 5, 3), "float32")).shape)
    (2, 4)
    """

    def __init__(self, units, activation="tanh", use_bias=True, *more, **kwargs):
        named = name_arguments(keras.layers.SimpleRNN, 3, more)
        super().__init__(units, activation=activation, use_bias=use_bias, **named, **kwargs)

    def _make_recurrence(self):
        return Recurrence(Activation(self.activation))
