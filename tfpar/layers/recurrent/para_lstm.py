"""`ParaLSTM`: the layer of `tfpar.ops.para_lstm`."""

import keras

from tfpar.layers.recurrent.diagonal import DiagonalRecurrentLayer
from tfpar.ops import para_lstm


@keras.saving.register_keras_serializable(package="tfpar")
class ParaLSTM(DiagonalRecurrentLayer):
    """Long short-term memory with diagonal recurrent weights (Danieli et al. 2025, ParaRNN, arXiv:2510.21450).

        f    = sigma(x[t] W_f + a_f * h[t-1] + c_f * c[t-1] + b_f)      forget gate; 1 - f is the input gate
        g    = tanh(x[t] W_g + a_g * h[t-1] + b_g)                      candidate
        c[t] = f * c[t-1] + (1 - f) * g                                 memory cell
        o    = sigma(x[t] W_o + a_o * h[t-1] + c_o * c[t] + b_o)        output gate
        h[t] = o * tanh(c[t])                                           output

    Its gates depend on the states, so unlike the linear cells it can track states, such as a parity. All steps run in
    parallel by Newton's method, which is verified in each call: unless it converges to the states of a loop over time,
    that loop runs. See `tfpar.ops.newton`.

    Args:
        units: number of units.
        use_bias: add a bias.
        kernel_initializer: initializer of the input kernel (features, 3 * units); see `keras.initializers`.
        recurrent_initializer: initializer of the recurrent kernel (5, units): a_f, a_g, a_o, c_f, c_o. "orthogonal"
            makes rows of norm 1, so that they are small in a wide layer.
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
        return_state: return the final states after the output.
        go_backwards: process the steps in reverse order, and return them in that order.
        stateful: start each batch from the final states of the batch before; needs a static batch size and one replica.
        evaluation: "newton": all steps at once; "sequential": one loop over the steps; "auto": the latter on a CPU.
        **kwargs: `zero_output_for_mask`, `unroll`, `activity_regularizer`, and those of `keras.layers.Layer`.

    Call arguments:
        sequences: float (batch, time, features).
        initial_state: list of h and c, float (batch, units) each; None for zeros.
        mask: bool (batch, time). A False step does not change the state, whatever it holds.
        training: apply dropout.

    Returns:
        float (batch, units), or (batch, time, units) with `return_sequences`; with `return_state` a tuple of it and the
        final states h and c, float (batch, units) each.

    Raises:
        ValueError: an argument is out of its range, or `recurrent_dropout` is not 0.

    Example:

    >>> output, h, c = ParaLSTM(4, return_state=True)(np.ones((2, 5, 3), "float32"))
    >>> tuple(output.shape), tuple(c.shape)
    ((2, 4), (2, 4))
    """

    def make_recurrence(self) -> para_lstm.ParaLSTM:
        return para_lstm.ParaLSTM()
