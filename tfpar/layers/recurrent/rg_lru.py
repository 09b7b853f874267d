"""`RGLRU`: the layer of `tfpar.ops.rg_lru`."""

from typing import Any

import keras
import tensorflow as tf

from tfpar.checks import check_positive_integer
from tfpar.layers.argument_types import InitializerLike, Shape
from tfpar.layers.recurrent.linear import LinearRecurrentLayer
from tfpar.ops import rg_lru


@keras.saving.register_keras_serializable(package="tfpar")
class RGLRU(LinearRecurrentLayer):
    """Real-gated linear recurrent unit (De et al. 2024, Griffin, arXiv:2402.19427).

        u[t] = x[t] W + b                                       input projection
        r    = sigma(u[t] W_r + b_r)                            recurrence gate, W_r block-diagonal
        i    = sigma(u[t] W_i + b_i)                            input gate, W_i block-diagonal
        a    = exp(-8 r softplus(L))                            decay
        h[t] = a * h[t-1] + sqrt(1 - a^2) * (i * u[t])          output

    All steps run in parallel over time. Decays start between `min_decay` and `max_decay`, so that a new layer already
    remembers ten to a thousand steps.

    Args:
        units: number of units; a multiple of `num_heads`.
        num_heads: number of blocks of W_r and W_i; 1: dense matrices.
        min_decay, max_decay: the range of initial decays at r = 1/8; uniform on the ring in the complex plane.
        use_bias: add the bias b of the input projection.
        kernel_initializer: initializer of the input kernel (features, units); see `keras.initializers`.
        return_sequences: return the outputs of all steps instead of the last.
        return_state: return the final state after the output.
        go_backwards: process the steps in reverse order, and return them in that order.
        stateful: start each batch from the final states of the batch before; needs a static batch size and one replica.
        evaluation: "auto": the fastest here; "sequential": one loop over the steps; "scan": always parallel over time.
        **kwargs: other arguments of `tfpar.layers.MinGRU`, except `activation`.

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

    >>> output, state = RGLRU(4, num_heads=2, return_state=True)(np.ones((2, 5, 3), "float32"))
    >>> tuple(output.shape), tuple(state.shape)
    ((2, 4), (2, 4))
    """

    def __init__(
        self,
        units: int,
        num_heads: int = 1,
        min_decay: float = 0.9,
        max_decay: float = 0.999,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        evaluation: str = "auto",
        **kwargs: Any,
    ):
        super().__init__(
            units,
            activation="linear",
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            evaluation=evaluation,
            **kwargs,
        )
        self.num_heads = check_positive_integer("num_heads", num_heads)
        if units % num_heads:
            raise ValueError(f"`units` must be a multiple of `num_heads`, {num_heads}; got {units}.")
        if not 0 < min_decay < max_decay < 1:
            raise ValueError(f"`min_decay` < `max_decay` must be in (0, 1); got {min_decay} and {max_decay}.")
        self.min_decay, self.max_decay = min_decay, max_decay

    def make_recurrence(self) -> rg_lru.RGLRU:
        return rg_lru.RGLRU()

    def build(self, sequences_shape: Shape, initial_state_shape: Any = None) -> None:
        super().build(sequences_shape)
        size = self.units // self.num_heads
        block = keras.initializers.LecunNormal(self.seed)

        def initialize_gates(shape, dtype=None):
            return keras.ops.reshape(block((size, self.num_heads * 2 * size), dtype=dtype), shape)

        self.gate_kernel = self.add_weight(
            shape=(self.num_heads, size, 2 * size), name="gate_kernel", initializer=initialize_gates
        )
        self.gate_bias = self.add_weight(shape=(2 * self.units,), name="gate_bias", initializer="zeros")
        self.decay = self.add_weight(shape=(self.units,), name="decay", initializer=self._initialize_decay)

    def _initialize_decay(self, shape, dtype=None):
        """Draw L such that exp(-softplus(L)) is the radius of a point drawn from a ring, uniform in area."""
        low, high = self.min_decay**2, self.max_decay**2
        log_radius = 0.5 * keras.ops.log(keras.random.uniform(shape, low, high, dtype=dtype, seed=self.seed))
        return keras.ops.log(keras.ops.expm1(-log_radius))

    def recurrent_weights(self) -> rg_lru.RGLRUWeights:
        return rg_lru.RGLRUWeights(*map(tf.convert_to_tensor, (self.gate_kernel, self.gate_bias, self.decay)))

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("num_heads", "min_decay", "max_decay")}
        config = super().get_config()
        del config["activation"]  # no argument
        return {**config, **own}
