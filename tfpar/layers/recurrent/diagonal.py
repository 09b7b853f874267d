"""The base class of recurrent layers with diagonal recurrent weights, which Newton's method runs in parallel."""

from typing import Any, cast

from tfpar.layers.argument_types import ConstraintLike, InitializerLike, RegularizerLike
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.ops.newton import DiagonalRecurrence


class DiagonalRecurrentLayer(RecurrentLayer):
    """Base class of layers of a `tfpar.ops.newton.DiagonalRecurrence`, without recurrent dropout.

    Args:
        units, use_bias, ..., **kwargs: see `ParaGRU`.
    """

    EVALUATIONS = ("auto", "sequential", "newton")

    def __init__(
        self,
        units: int,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        recurrent_initializer: InitializerLike = "orthogonal",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        recurrent_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        recurrent_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        evaluation: str = "auto",
        **kwargs: Any,
    ):
        super().__init__(
            units,
            activation="tanh",
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            dropout=dropout,
            seed=seed,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            evaluation=evaluation,
            **kwargs,
        )
        if self.recurrent_dropout:
            raise ValueError(
                f"`recurrent_dropout` must be 0 for {type(self).__name__}, whose units do not mix in time; got "
                f"{self.recurrent_dropout}. Use `dropout`."
            )

    def _recurrent_kernel_shape(self) -> tuple[int, int]:
        return (cast(DiagonalRecurrence, self.recurrence).num_rows, self.units)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["activation"]  # no argument
        return config
