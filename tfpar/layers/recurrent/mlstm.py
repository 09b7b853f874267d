"""`MLSTM`: the layer of `tfpar.ops.mlstm`."""

from typing import Any

import keras
import tensorflow as tf

from tfpar.checks import check_positive_integer
from tfpar.layers.argument_types import InitializerLike
from tfpar.layers.recurrent.linear import LinearRecurrentLayer
from tfpar.ops import mlstm

FORGET_BIASES = 3.0, 6.0  # of the first and the last head, as in xLSTM


@keras.saving.register_keras_serializable(package="tfpar")
class MLSTM(LinearRecurrentLayer):
    """Matrix LSTM with a sigmoid input gate (Beck et al. 2024, arXiv:2405.04517; 2025, arXiv:2503.14376).

    For each head, with q, k, v and the gates i, f (one number each) and o projected from x[t]:

        C[t] = f C[t-1] + i k v^T                                           matrix memory
        n[t] = f n[t-1] + i k                                               normalizer
        h[t] = o * (q C[t] / sqrt(key_size)) / max(|q n[t] / sqrt(key_size)|, 1)        output

    The steps of a chunk are a few matmuls, and only C and n go from chunk to chunk. The gates i and f start without
    weights of the input, and the biases of f between 3 and 6, so that heads start with memories of 20 to 400 steps.

    Args:
        units: number of units; a multiple of `num_heads`.
        num_heads: number of heads; None: 4, or 2 or 1 if `units` is no multiple of it.
        key_size: size of q and k of each head; None: half of `units / num_heads`, the size of v, as in xLSTM 7B.
        use_bias: add a bias.
        kernel_initializer: initializer of the input kernel's columns of q, k, v and o; see `keras.initializers`.
        bias_initializer: initializer of the biases of q, k, v and o.
        return_sequences: return the outputs of all steps instead of the last.
        return_state: return the final states after the output.
        go_backwards: process the steps in reverse order, and return them in that order.
        stateful: start each batch from the final states of the batch before; needs a static batch size and one replica.
        evaluation: "auto" and "scan": in chunks; "sequential": one loop over the steps.
        **kwargs: other arguments of `tfpar.layers.MinGRU`, except `activation`.

    Call arguments:
        sequences: float (batch, time, features).
        initial_state: list of three states, as returned; None for zeros.
        mask: bool (batch, time). A False step does not change the states, whatever it holds.
        training: apply dropout.

    Returns:
        float (batch, units), or (batch, time, units) with `return_sequences`; with `return_state` a tuple of it and the
        final states: h, float (batch, units); C, float (batch, num_heads * key_size * units / num_heads); n, float
        (batch, num_heads * key_size).

    Raises:
        ValueError: an argument is out of its range, or `recurrent_dropout` is not 0.

    Example:

    >>> output, *states = MLSTM(4, num_heads=2, return_state=True)(np.ones((2, 5, 3), "float32"))
    >>> tuple(output.shape), [tuple(state.shape) for state in states]
    ((2, 4), [(2, 4), (2, 4), (2, 2)])
    """

    def __init__(
        self,
        units: int,
        num_heads: int | None = None,
        key_size: int | None = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        evaluation: str = "auto",
        **kwargs: Any,
    ):
        check_positive_integer("units", units)
        heads = next(heads for heads in (4, 2, 1) if units % heads == 0) if num_heads is None else num_heads
        self.num_heads = check_positive_integer("num_heads", heads)
        if units % heads:
            raise ValueError(f"`units` must be a multiple of `num_heads`, {heads}; got {units}.")
        size = max(1, units // heads // 2) if key_size is None else key_size
        self.key_size = check_positive_integer("key_size", size)
        super().__init__(
            units,
            activation="linear",
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            evaluation=evaluation,
            **kwargs,
        )

    recurrence: mlstm.MLSTM

    def make_recurrence(self) -> mlstm.MLSTM:
        return mlstm.MLSTM(self.num_heads, self.key_size, self.units // self.num_heads)

    @property
    def state_size(self) -> list[int]:
        """Number of features of each state: h, C, n."""
        return self.recurrence.state_sizes

    def _projection_size(self) -> int:
        return self.recurrence.projection_size

    def _initialize_kernel(self, shape, dtype=None):
        gates = 2 * self.num_heads
        kernel = super()._initialize_kernel((shape[0], shape[1] - gates), dtype)
        return keras.ops.concatenate([kernel, keras.ops.zeros((shape[0], gates), dtype)], axis=1)

    def _initialize_bias(self, shape, dtype=None):
        bias = super()._initialize_bias((shape[0] - 2 * self.num_heads,), dtype)
        forget = tf.linspace(*(tf.constant(value, dtype) for value in FORGET_BIASES), self.num_heads)
        return keras.ops.concatenate([bias, keras.ops.zeros((self.num_heads,), dtype), forget], axis=0)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["activation"]  # no argument
        return {**config, "num_heads": self.num_heads, "key_size": self.key_size}
