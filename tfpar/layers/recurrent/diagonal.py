"""The base class of recurrent layers with diagonal recurrent weights, which Newton's method runs in parallel."""

from typing import Any, cast

from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.ops.newton import DiagonalRecurrence


class DiagonalRecurrentLayer(RecurrentLayer):
    """Base class of layers of a `tfpar.ops.newton.DiagonalRecurrence`, without recurrent dropout.

    Args:
        units: see `RecurrentLayer`.
        evaluation: "newton": all steps at once; "sequential": one loop over the steps; "auto": the latter on a CPU.
        **kwargs: see `RecurrentLayer`, without `activation`.
    """

    EVALUATIONS = ("auto", "sequential", "newton")

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(units, activation="tanh", **kwargs)
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
