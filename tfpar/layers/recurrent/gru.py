"""`GRU`: the layer of `tfpar.ops.gru`."""

from typing import Any

import keras
import tensorflow as tf

from tfpar.layers.argument_types import ActivationLike, ConstraintLike, InitializerLike, RegularizerLike
from tfpar.layers.recurrent.gated import GatedRecurrentLayer
from tfpar.ops import gru
from tfpar.ops.activations import Activation


@keras.saving.register_keras_serializable(package="tfpar")
class GRU(GatedRecurrentLayer):
    """Gated recurrent unit (Cho et al. 2014, arXiv:1406.1078); a drop-in replacement for `keras.layers.GRU`.

        z    = sigma(x[t] W_z + h[t-1] U_z + b_z)                      update gate
        r    = sigma(x[t] W_r + h[t-1] U_r + b_r)                      reset gate
        n    = tanh(x[t] W_n + b_n + r * (h[t-1] U_n + b_rn))          candidate, `reset_after=True`
        n    = tanh(x[t] W_n + b_n + (r * h[t-1]) U_n)                 candidate, `reset_after=False`
        h[t] = z * h[t-1] + (1 - z) * n                                output

    Args:
        units: number of units.
        activation: activation of the candidate: a name, or a pointwise function.
        recurrent_activation: activation of the update and reset gates.
        use_bias: add a bias.
        kernel_initializer: initializer of the input kernel (features, 3 * units); see `keras.initializers`.
        recurrent_initializer: initializer of the recurrent kernel (units, 3 * units).
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
        seed: seed of both dropouts.
        return_sequences: return the outputs of all steps instead of the last.
        return_state: return the final states after the output.
        go_backwards: process the steps in reverse order, and return them in that order.
        stateful: start each batch from the final states of the batch before; needs a static batch size and one replica.
        unroll: unroll the steps instead of looping over them; needs a static number of steps.
        reset_after: apply the reset gate after the recurrent matmul (the default of Keras and cuDNN), or before it.
            The former has two biases, in one weight (2, 3 * units): of the projection and of the recurrence.
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
        final state [h], float (batch, units).

    Raises:
        ValueError: an argument is out of its range, or `use_cudnn=True` and cuDNN cannot run the layer.

    Example:

    >>> output, state = GRU(4, return_state=True)(np.ones((2, 5, 3), "float32"))
    >>> tuple(output.shape), tuple(state.shape)
    ((2, 4), (2, 4))
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
        reset_after: bool = True,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ):
        self.reset_after = reset_after
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

    def make_recurrence(self) -> gru.GRU:
        recurrence = gru.GRU if self.reset_after else gru.ResetBeforeGRU
        return recurrence(Activation(self.activation), Activation(self.recurrent_activation))

    def _bias_shape(self):
        return (2, 3 * self.units) if self.reset_after else super()._bias_shape()

    def _biases(self):
        if self.bias is None or not self.reset_after:
            return super()._biases()
        return tuple(tf.unstack(tf.convert_to_tensor(self.bias)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "reset_after": self.reset_after}
