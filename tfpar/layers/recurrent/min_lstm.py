"""`MinLSTM`: the layer of `tfpar.ops.min_gru`."""

import keras

from tfpar.layers.recurrent.min_gru import MinimalRecurrentLayer
from tfpar.ops import min_gru
from tfpar.ops.activations import Activation


@keras.saving.register_keras_serializable(package="tfpar")
class MinLSTM(MinimalRecurrentLayer):
    """Minimal long short-term memory (Feng et al. 2024, arXiv:2410.01201).

        f    = sigma(x[t] W_f + b_f)                                forget gate
        i    = sigma(x[t] W_i + b_i)                                input gate
        n    = g(x[t] W_n + b_n)                                    candidate
        h[t] = f / (f + i) * h[t-1] + i / (f + i) * n               output

    The gates do not depend on the state, so all steps run in parallel over time. It is a `MinGRU` whose update gate
    is normalized from two.

    Args:
        units: number of units.
        activation: g, of the candidate: a name, or a pointwise function. The paper's is
            `tfpar.layers.positive_activation`, x + 0.5 for x >= 0 and sigmoid(x) otherwise.
        use_bias: add a bias.
        kernel_initializer: initializer of the input kernel (features, 3 * units); see `keras.initializers`.
        bias_initializer: initializer of the bias (3 * units,).
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

    >>> output, state = MinLSTM(4, return_state=True)(np.ones((2, 5, 3), "float32"))
    >>> tuple(output.shape), tuple(state.shape)
    ((2, 4), (2, 4))
    """

    def make_recurrence(self) -> min_gru.MinLSTM:
        return min_gru.MinLSTM(Activation(self.activation))
