"""`NonFiniteGuard`: skips steps whose loss or gradients are not finite, then stops or goes back to a checkpoint."""

import warnings
from pathlib import Path
from typing import Any

import keras

from tfpar.checks import check_fraction, check_one_of, check_positive_integer
from tfpar.errors import DivergedError
from tfpar.train.accumulation import innermost
from tfpar.train.checkpoints.callback import Checkpoints
from tfpar.train.step_guard import StepGuard

_SKIPPED_BATCHES = "skipped_batches"


class NonFiniteGuard(keras.callbacks.Callback):
    """Callback that skips each step in which the loss or a gradient of any replica is not finite.

    A skipped step changes neither weights nor metrics, and its batch is saved. After `max_skips` skipped steps in a row
    training stops, or it continues with the weights of the last checkpoint, a smaller learning rate, and the next batch
    (Chowdhery et al. 2022, section 5.1, skip the data before a spike of the loss, too). For `tfpar.train.Model`. With a
    `LossScaleOptimizer`, an overflow of the gradients alone is left to the optimizer.

    Args:
        max_skips: number of skipped steps in a row before `action`.
        action: "stop" or "rewind", which needs `Checkpoints` among the callbacks.
        learning_rate_factor: in (0, 1), for each rewind.
        max_rewinds: number of rewinds before training stops.
        directory: for the batches of the first skipped steps, as .npz files; None: within that of `Checkpoints`, if
            there is one.

    Attributes:
        skipped_steps: number of skipped steps in the run.

    Raises:
        ValueError: an argument is not as described.
        DivergedError: from `fit`: too many steps in a row were skipped.

    Example:

    >>> inputs = keras.Input((3,))
    >>> model = tfpar.train.Model(inputs, keras.layers.Dense(1)(inputs))
    >>> model.compile("sgd", "mse")
    >>> guard = tfpar.train.NonFiniteGuard(max_skips=3)
    >>> x, y = np.ones((6, 3)), np.array([1.0, 1.0, np.nan, 1.0, 1.0, 1.0])[:, None]
    >>> history = model.fit(x, y, batch_size=2, callbacks=[guard], shuffle=False, verbose=0)
    >>> guard.skipped_steps, bool(np.isfinite(history.history["loss"]).all())
    (1, True)
    """

    def __init__(
        self,
        max_skips: int = 10,
        action: str = "stop",
        *,
        learning_rate_factor: float = 0.5,
        max_rewinds: int = 3,
        directory: str | Path | None = None,
    ):
        super().__init__()
        self._max_skips = check_positive_integer("max_skips", max_skips)
        self._action = check_one_of("action", action, ("stop", "rewind"))
        self._factor = check_fraction("learning_rate_factor", learning_rate_factor)
        self._max_rewinds = check_positive_integer("max_rewinds", max_rewinds)
        self._directory = None if directory is None else Path(directory)
        self._checkpoints: Checkpoints | None = None
        self._guard: StepGuard | None = None
        self.skipped_steps, self._rewinds = 0, 0

    def prepare(self, model: keras.Model, checkpoints: Checkpoints | None) -> StepGuard:
        """Prepare for one call of `fit`, before its step is traced.

        Args:
            model: `tfpar.train.Model`, compiled.
            checkpoints: among the callbacks of this call.

        Returns:
            The counters for its step.
        """
        if self._action == "rewind" and checkpoints is None:
            raise ValueError("`action` must be stop without Checkpoints among the callbacks; got rewind.")
        if self._directory is None and checkpoints is not None:
            self._directory = checkpoints.directory / _SKIPPED_BATCHES
        self._checkpoints = checkpoints
        self._guard = StepGuard(model, self._directory)
        return self._guard

    def on_train_begin(self, logs: dict | None = None) -> None:
        if self._guard is None:
            raise ValueError("NonFiniteGuard is for `tfpar.train.Model.fit`, and for its `callbacks` as a list.")
        self.skipped_steps, self._rewinds = 0, 0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        guard = self._guard
        assert guard is not None
        skipped = int(guard.skipped.numpy())
        if skipped == self.skipped_steps:
            return
        if self.skipped_steps == 0:
            saved = f"; the batch is in {guard.saved[0]}" if guard.saved else ""
            warnings.warn(f"The loss or a gradient is not finite: the step is skipped{saved}.", stacklevel=2)
        self.skipped_steps = skipped
        if int(guard.in_a_row.numpy()) >= self._max_skips:
            self._act(guard)

    def _act(self, guard):
        if self._action == "stop" or self._rewinds >= self._max_rewinds:
            saved = f", and the batch is in {guard.saved[-1]}" if guard.saved else ""
            raise DivergedError(
                f"the loss or a gradient was not finite in {self._max_skips} steps in a row, which were skipped{saved}"
            )
        assert self._checkpoints is not None
        optimizer = innermost(self.model.optimizer)
        learning_rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        step = self._checkpoints.rewind()
        self._rewinds += 1
        if guard.schedule is None:
            optimizer.learning_rate = learning_rate * self._factor
        else:
            guard.scale.assign(self._factor**self._rewinds)
        guard.in_a_row.assign(0)
        warnings.warn(
            f"{self._max_skips} steps in a row were skipped: training goes on with the weights of step {step} and "
            f"{self._factor**self._rewinds:g} times the learning rate.",
            stacklevel=2,
        )

    def get_state(self) -> dict[str, Any]:
        """Return the counts for a checkpoint."""
        return {"skipped_steps": self.skipped_steps, "rewinds": self._rewinds}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue behind a checkpoint."""
        assert self._guard is not None
        self.skipped_steps, self._rewinds = state["skipped_steps"], state["rewinds"]
        self._guard.skipped.assign(self.skipped_steps)
        self._guard.scale.assign(self._factor**self._rewinds)
