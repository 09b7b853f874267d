"""The base class of recurrent layers that are linear in their state, which run in parallel over time."""

from typing import Any

from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.ops.recurrence import RecurrentWeights


class LinearRecurrentLayer(RecurrentLayer):
    """Base class of layers of a `tfpar.ops.linear_recurrence.LinearRecurrence`: h[t] = a[t] * h[t-1] + b[t].

    They have no recurrent kernel, so `recurrent_initializer`, `recurrent_regularizer` and `recurrent_constraint` are
    ignored, and no recurrent dropout.

    Args:
        units: see `RecurrentLayer`.
        evaluation: "auto": the fastest here; "sequential": one loop over the steps; "scan": always parallel over time.
        **kwargs: see `RecurrentLayer`.
    """

    EVALUATIONS = ("auto", "sequential", "scan")

    def __init__(self, units: int, **kwargs: Any):
        super().__init__(units, **kwargs)
        if self.recurrent_dropout:
            raise ValueError(
                f"`recurrent_dropout` must be 0 for {type(self).__name__}, whose state meets no weights; "
                f"got {self.recurrent_dropout}. Use `dropout`."
            )

    def _add_recurrent_kernel(self) -> None:
        return None

    def recurrent_weights(self) -> Any:
        return RecurrentWeights(None)
