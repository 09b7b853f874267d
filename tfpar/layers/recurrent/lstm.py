"""`LSTM`: the layer of `tfpar.ops.lstm`."""

from typing import Any

import keras
from keras import initializers

from tfpar.layers.argument_types import ActivationLike, ConstraintLike, InitializerLike, RegularizerLike
from tfpar.layers.recurrent.gated import GatedRecurrentLayer
from tfpar.ops import lstm
from tfpar.ops.activations import Activation


@keras.saving.register_keras_serializable(package="tfpar")
class LSTM(GatedRecurrentLayer):
    """Long short-term memory (Hochreiter & Schmidhuber 1997); a drop-in replacement for `keras.layers.LSTM`.

        [i f g o] = sigma(x[t] W + h[t-1] U + b)       gates (tanh instead of sigma for g)
        c[t]      = f * c[t-1] + i * g                 cell state
        h[t]      = o * tanh(c[t])                     output

    Args:
        units: number of units.
        activation: activation of the candidate and of the cell state: a name, or a pointwise function.
        recurrent_activation: activation of the input, forget and output gates.
        use_bias: add a bias.
        kernel_initializer: initializer of the input kernel (features, 4 * units); see `keras.initializers`.
        recurrent_initializer: initializer of the recurrent kernel (units, 4 * units).
        bias_initializer: initializer of the bias.
        unit_forget_bias: initialize the bias of the forget gate to 1 (Jozefowicz et al. 2015).
        kernel_regularizer: regularizer of the input kernel; see `keras.regularizers`.
        recurrent_regularizer: regularizer of the recurrent kernel.
        bias_regularizer: regularizer of the bias.
        activity_regularizer: regularizer of the output.
        kernel_constraint: constraint of the input kernel; see `keras.constraints`.
        recurrent_constraint: constraint of the recurrent kernel.
        bias_constraint: constraint of the bias.
        dropout: fraction of the input features to drop, in [0, 1); the same features at each step of a sequence.
        recurrent_dropout: fraction of h[t-1] to drop, in [0, 1); the same units at each step of a sequence.
        seed: seed of both dropouts.
        return_sequences: return the outputs of all steps instead of the last.
        return_state: return the final states after the output.
        go_backwards: process the steps in reverse order, and return them in that order.
        stateful: start each batch from the final states of the batch before; needs a static batch size and one replica.
        unroll: unroll the steps instead of looping over them; needs a static number of steps.
        use_cudnn: "auto": use cuDNN on a GPU if it supports the layer; False: never; True: raise an error if it cannot.
            Exports never contain it.
        **kwargs: `zero_output_for_mask` (default False: masked steps repeat the last valid output; True: zeros),
            `implementation` (ignored; input projections are always hoisted), `evaluation` ("auto", "sequential" or
            "newton"; see `tfpar.ops.quasi_newton`), and those of `keras.layers.Layer`.

    Call arguments:
        sequences: float (batch, time, features).
        initial_state: float (batch, units), or a list with one for each state; None for zeros.
        mask: bool (batch, time). A False step does not change the states.
        training: apply dropout.

    Returns:
        float (batch, units), or (batch, time, units) with `return_sequences`; with `return_state` a tuple of it and the
        final states h and c, each float (batch, units).

    Raises:
        ValueError: an argument is out of its range, or `use_cudnn=True` and cuDNN cannot run the layer.

    Example:

    >>> sequences = np.ones((2, 5, 3), "float32")
    >>> tuple(LSTM(4, return_sequences=True)(sequences).shape)
    (2, 5, 4)
    """

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: RegularizerLike = None,
        recurrent_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        recurrent_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ):
        self.unit_forget_bias = unit_forget_bias
        super().__init__(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
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
            seed=seed,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            use_cudnn=use_cudnn,
            **kwargs,
        )

    def make_recurrence(self) -> lstm.LSTM:
        return lstm.LSTM(Activation(self.activation), Activation(self.recurrent_activation))

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

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "unit_forget_bias": self.unit_forget_bias}
