"""The base class of recurrent layers with gates, which cuDNN may run."""

from typing import Any

from keras import activations

from tfpar.checks import check_one_of
from tfpar.layers.argument_types import ActivationLike
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.layers.recurrent.policy import Choice


class GatedRecurrentLayer(RecurrentLayer):
    """Base class of recurrent layers with gates.

    Args:
        units: see `RecurrentLayer`.
        recurrent_activation: activation of the gates: a name, or a pointwise function.
        use_cudnn: "auto": use cuDNN on a GPU if it supports the layer; False: never; True: raise an error if it cannot.
            Exports never contain it.
        evaluation: "auto" or "sequential": one loop over the steps, or cuDNN; "newton": all steps at once by a
            quasi-Newton method, and a loop where that does not converge. On a CPU the loop takes less time.
        **kwargs: see `RecurrentLayer`.
    """

    EVALUATIONS = ("auto", "sequential", "newton")

    def __init__(
        self, units: int, *, recurrent_activation: ActivationLike, use_cudnn: bool | str = "auto", **kwargs: Any
    ):
        self.recurrent_activation = activations.get(recurrent_activation)
        self.use_cudnn = check_one_of("use_cudnn", use_cudnn, ("auto", True, False))
        super().__init__(units, **kwargs)
        if use_cudnn is True:
            self._refuse_cudnn(self._obstacle_to_cudnn_anywhere(bool(self.recurrent_dropout)))
        self._check_newton()

    @property
    def takes_cudnn(self) -> bool:
        """Whether cuDNN would train this layer if it were called here."""
        return self._obstacle_to_cudnn(bool(self.recurrent_dropout)) is None

    @property
    def supports_jit(self) -> bool:
        """Whether XLA should compile a step with this layer; not if cuDNN runs it, which is faster."""
        return self._supports_jit and not self.takes_cudnn

    @supports_jit.setter
    def supports_jit(self, value: bool) -> None:
        self._supports_jit = value

    def _obstacle_to_cudnn(self, drops_states: bool) -> str | None:
        if self.use_cudnn is False:
            return "use_cudnn=False was given"
        return super()._obstacle_to_cudnn(drops_states)

    def set_evaluation(self, evaluation: str) -> None:
        super().set_evaluation(evaluation)
        self._check_newton()

    def _check_newton(self) -> None:
        """Raise ValueError if `evaluation` is "newton" and another argument needs the steps one after another."""
        given = {
            "unroll": self.unroll,
            "recurrent_dropout": self.recurrent_dropout,
            "use_cudnn": self.use_cudnn is True,
        }
        for name, value in given.items():
            if value and self.evaluation == "newton":
                raise ValueError(
                    f"`{name}` must not be {getattr(self, name)} with evaluation='newton', which runs all steps at "
                    f"once; got both in {self.name}. Pass evaluation='auto'."
                )

    def _choose_kernel(self, has_initial_state: bool, drops_states: bool, steps: int | None = None) -> Choice:
        self._check_newton()  # the attributes are public
        choice = super()._choose_kernel(has_initial_state, drops_states, steps)
        if self.use_cudnn is True and choice.kernel == "training_loop":
            self._refuse_cudnn(choice.reason)
        return choice

    def _refuse_cudnn(self, obstacle: str | None) -> None:
        if obstacle is not None:
            raise ValueError(
                f"{self.name}: use_cudnn=True was specified, but cuDNN is not supported here: {obstacle}. "
                "Pass use_cudnn='auto'."
            )

    def get_config(self) -> dict[str, Any]:
        recurrent_activation = activations.serialize(self.recurrent_activation)
        return {**super().get_config(), "recurrent_activation": recurrent_activation, "use_cudnn": self.use_cudnn}
