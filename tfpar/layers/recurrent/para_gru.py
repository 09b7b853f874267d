"""`ParaGRU`: the layer of `tfpar.ops.para_gru`."""

import keras

from tfpar.layers.recurrent.diagonal import DiagonalRecurrentLayer
from tfpar.ops import para_gru


@keras.saving.register_keras_serializable(package="tfpar")
class ParaGRU(DiagonalRecurrentLayer):
    """Gated recurrent unit with diagonal recurrent weights (Danieli et al. 2025, ParaRNN, arXiv:2510.21450).

        z    = sigma(x[t] W_z + a_z * h[t-1] + b_z)             update gate
        r    = sigma(x[t] W_r + a_r * h[t-1] + b_r)             reset gate
        n    = tanh(x[t] W_n + a_n * (r * h[t-1]) + b_n)        candidate
        h[t] = (1 - z) * h[t-1] + z * n                         output

    Its gates depend on the state, so unlike the linear cells it can track states, such as a parity. All steps run in
    parallel by Newton's method, which is verified in each call: unless it converges to the states of a loop over time,
    that loop runs. See `tfpar.ops.newton`. Here z is the weight of the candidate; in `GRU` it is that of h[t-1].

    Args:
        units: number of units.
        use_bias: add a bias.
        kernel_initializer: initializer of the input kernel (features, 3 * units); see `keras.initializers`.
        recurrent_initializer: initializer of the recurrent kernel (3, units): a_z, a_r, a_n. "orthogonal" makes
            rows of norm 1, so that they are small in a wide layer.
        bias_initializer: initializer of the bias (3 * units,).
        kernel_regularizer: regularizer of the input kernel; see `keras.regularizers`.
        recurrent_regularizer: regularizer of the recurrent kernel.
        bias_regularizer: regularizer of the bias.
        kernel_constraint: constraint of the input kernel; see `keras.constraints`.
        recurrent_constraint: constraint of the recurrent kernel. "max_norm" helps Newton's method to converge.
        bias_constraint: constraint of the bias.
        dropout: fraction of the input features to drop, in [0, 1); the same features at each step of a sequence.
        seed: seed of the dropout.
        return_sequences: return the outputs of all steps instead of the last.
        return_state: return the final state after the output.
        go_backwards: process the steps in reverse order, and return them in that order.
        stateful: start each batch from the final states of the batch before; needs a static batch size and one replica.
        evaluation: "newton": all steps at once; "sequential": one loop over the steps; "auto": the latter on a CPU.
        **kwargs: `zero_output_for_mask`, `unroll`, `activity_regularizer`, and those of `keras.layers.Layer`.

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

    >>> output, state = ParaGRU(4, return_state=True)(np.ones((2, 5, 3), "float32"))
    >>> tuple(output.shape), tuple(state.shape)
    ((2, 4), (2, 4))
    """

    def make_recurrence(self) -> para_gru.ParaGRU:
        return para_gru.ParaGRU()
