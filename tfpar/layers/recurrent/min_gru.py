"""`MinGRU`: the layer of `tfpar.ops.min_gru`."""

from typing import Any

import keras

from tfpar.layers.argument_types import ActivationLike, ConstraintLike, InitializerLike, RegularizerLike
from tfpar.layers.recurrent.linear import LinearRecurrentLayer
from tfpar.ops import min_gru
from tfpar.ops.activations import Activation, positive_activation


class MinimalRecurrentLayer(LinearRecurrentLayer):
    """Base class of `MinGRU` and `MinLSTM`, whose arguments are the same.

    Args:
        units, activation, ..., **kwargs: see `MinGRU`.
    """

    def __init__(
        self,
        units: int,
        activation: ActivationLike = positive_activation,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        activity_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        evaluation: str = "auto",
        **kwargs: Any,
    ):
        super().__init__(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            activity_regularizer=activity_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            seed=seed,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            evaluation=evaluation,
            **kwargs,
        )


@keras.saving.register_keras_serializable(package="tfpar")
class MinGRU(MinimalRecurrentLayer):
    """Minimal gated recurrent unit (Feng et al. 2024, arXiv:2410.01201).

        z    = sigma(x[t] W_z + b_z)               update gate
        n    = g(x[t] W_n + b_n)                   candidate
        h[t] = (1 - z) * h[t-1] + z * n            output

    The gate does not depend on the state, so all steps run in parallel over time. For the same reason one layer
    only averages its candidates: stack several, with a projection, a residual connection and normalization between.
    Here z is the weight of the candidate, as in the paper; in `GRU` it is that of h[t-1].

    Args:
        units: number of units.
        activation: g, of the candidate: a name, or a pointwise function. The paper's is
            `tfpar.layers.positive_activation`, x + 0.5 for x >= 0 and sigmoid(x) otherwise.
        use_bias: add a bias.
        kernel_initializer: initializer of the input kernel (features, 2 * units); see `keras.initializers`.
        bias_initializer: initializer of the bias (2 * units,).
        kernel_regularizer: regularizer of the input kernel; see `keras.regularizers`.
        bias_regularizer: regularizer of the bias.
        activity_regularizer: regularizer of the output.
        kernel_constraint: constraint of the input kernel; see `keras.constraints`.
        bias_constraint: constraint of the bias.
        dropout: fraction of the input features to drop, in [0, 1); the same features at each step of a sequence.
        seed: seed of the dropout.
        return_sequences: return the outputs of all steps instead of the last.
        return_state: return the final state after the output.
        go_backwards: process the steps in reverse order, and return them in that order.
        stateful: start each batch from the final states of the batch before; needs a static batch size and one replica.
        unroll: unroll the steps instead of running them in parallel; needs a static number of steps.
        evaluation: "auto": the fastest here; "sequential": one loop over the steps; "scan": always parallel over time.
        **kwargs: `zero_output_for_mask` (default False: masked steps repeat the last valid output; True: zeros), and
            those of `keras.layers.Layer`. `recurrent_initializer`, `recurrent_regularizer` and `recurrent_constraint`
            are ignored, since there is no recurrent kernel.

    Call arguments:
        sequences: float (batch, time, features).
        initial_state: float (batch, units), or a list of it; None for zeros.
        mask: bool (batch, time). A False step does not change the state, whatever it holds.
        training: apply dropout.

    Returns:
        float (batch, units), or (batch, time, units) with `return_sequences`; with `return_state` a tuple of it and the
        final state [h], float (batch, units).

    Raises:
        ValueError: an argument is out of its range, or `recurrent_dropout` is not 0.

    Example:

    >>> output, state = MinGRU(4, return_state=True)(np.ones((2, 5, 3), "float32"))
    >>> tuple(output.shape), tuple(state.shape)
    ((2, 4), (2, 4))
    """

    def make_recurrence(self) -> min_gru.MinGRU:
        return min_gru.MinGRU(Activation(self.activation))
