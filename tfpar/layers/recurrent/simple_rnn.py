"""`SimpleRNN`: the layer of `tfpar.ops.simple_rnn`."""

from typing import Any

import keras

from tfpar.layers.argument_types import ActivationLike, ConstraintLike, InitializerLike, RegularizerLike
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.ops import simple_rnn
from tfpar.ops.activations import Activation


@keras.saving.register_keras_serializable(package="tfpar")
class SimpleRNN(RecurrentLayer):
    """Fully connected recurrent layer (Elman 1990); a drop-in replacement for `keras.layers.SimpleRNN`.

        h[t] = tanh(x[t] W + h[t-1] U + b)

    Args:
        units: number of units.
        activation: activation of the output: a name, or a pointwise function.
        use_bias: add a bias.
        kernel_initializer: initializer of the input kernel (features, units); see `keras.initializers`.
        recurrent_initializer: initializer of the recurrent kernel (units, units).
        bias_initializer: initializer of the bias.
        kernel_regularizer: regularizer of the input kernel; see `keras.regularizers`.
        recurrent_regularizer: regularizer of the recurrent kernel.
        bias_regularizer: regularizer of the bias.
        activity_regularizer: regularizer of the output.
        kernel_constraint: constraint of the input kernel; see `keras.constraints`.
        recurrent_constraint: constraint of the recurrent kernel.
        bias_constraint: constraint of the bias.
        dropout: fraction of the input features to drop, in [0, 1); the same features at each step of a sequence.
        recurrent_dropout: fraction of h[t-1] to drop, in [0, 1); the same units at each step of a sequence.
        return_sequences: return the outputs of all steps instead of the last.
        return_state: return the final states after the output.
        go_backwards: process the steps in reverse order, and return them in that order.
        stateful: start each batch from the final states of the batch before; needs a static batch size and one replica.
        unroll: unroll the steps instead of looping over them; needs a static number of steps.
        seed: seed of both dropouts.
        **kwargs: `zero_output_for_mask` (default False: masked steps repeat the last valid output; True: zeros),
            `implementation` (ignored; input projections are always hoisted), and those of `keras.layers.Layer`.

    Call arguments:
        sequences: float (batch, time, features).
        initial_state: float (batch, units), or a list with one for each state; None for zeros.
        mask: bool (batch, time). A False step does not change the states.
        training: apply dropout.

    Returns:
        float (batch, units), or (batch, time, units) with `return_sequences`; with `return_state` a tuple of it and the
        final state [h], float (batch, units).

    Raises:
        ValueError: an argument is out of its range.

    Example:

    >>> tuple(SimpleRNN(4, go_backwards=True)(np.ones((2, 5, 3), "float32")).shape)
    (2, 4)
    """

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "tanh",
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        recurrent_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        recurrent_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            seed=seed,
            **kwargs,
        )

    def make_recurrence(self) -> simple_rnn.SimpleRNN:
        return simple_rnn.SimpleRNN(Activation(self.activation))
