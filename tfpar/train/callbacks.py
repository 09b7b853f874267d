"""Callbacks for recipes."""

import time
from pathlib import Path
from typing import Any

import keras

from tfpar.train.checkpoints.callback import Checkpoints

CHECKPOINTS = "checkpoints"


class Throughput(keras.callbacks.Callback):
    """Callback that measures examples per second, without compilation.

    Args:
        examples: training examples per epoch.

    Attributes:
        examples_per_second: median over the epochs; the first, in which programs are compiled, counts only if it is
            the only one.
        train_seconds: of the run, with the time before a checkpoint that it continues from.
    """

    def __init__(self, examples: int):
        super().__init__()
        self._examples = examples
        self._batches_s: list[float] = []
        self._epochs_s: list[float] = []
        self._begin_s: float | None = None
        self._before_s = 0.0

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._begin_s = time.perf_counter()

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._batches_s.append(time.perf_counter() - self._start)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._epochs_s.append(sum(self._batches_s))
        self._batches_s = []

    def get_state(self) -> dict[str, Any]:
        """Return the times for a checkpoint."""
        return {"batches_s": self._batches_s, "epochs_s": self._epochs_s, "train_s": self.train_seconds}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue behind a checkpoint."""
        self._batches_s, self._epochs_s, self._before_s = state["batches_s"], state["epochs_s"], state["train_s"]

    @property
    def train_seconds(self) -> float:
        """Seconds since training began: see the class."""
        return self._before_s + (0.0 if self._begin_s is None else time.perf_counter() - self._begin_s)

    @property
    def examples_per_second(self) -> float:
        """Median over the epochs: see the class."""
        steady = sorted(self._epochs_s[1:] or self._epochs_s)
        return self._examples / steady[len(steady) // 2]


class StopAtStep(keras.callbacks.Callback):
    """Callback that ends training after a number of steps.

    Args:
        steps: number of steps.

    Raises:
        ValueError: where training begins, if the model takes several steps at a time.
    """

    def __init__(self, steps: int):
        super().__init__()
        self._remaining_steps = steps

    def on_train_begin(self, logs: dict | None = None) -> None:
        if self.model.steps_per_execution > 1:
            raise ValueError(
                "StopAtStep must see each step: compile the model with steps_per_execution=1; got "
                f"{self.model.steps_per_execution}"
            )

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._remaining_steps -= 1
        if self._remaining_steps <= 0:
            self.model.stop_training = True

    def get_state(self) -> dict[str, int]:
        """Return the number of remaining steps for a checkpoint."""
        return {"remaining_steps": self._remaining_steps}

    def set_state(self, state: dict[str, int]) -> None:
        """Continue behind a checkpoint."""
        self._remaining_steps = state["remaining_steps"]


def logging_callbacks(model_dir: Path | str, **checkpoints: Any) -> list[keras.callbacks.Callback]:
    """Make callbacks that write TensorBoard and CSV logs, and checkpoints for `fit` to continue from.

    Args:
        model_dir: directory for all of them.
        **checkpoints: arguments of `Checkpoints`.
    """
    model_dir = Path(model_dir)
    return [
        Checkpoints(model_dir / CHECKPOINTS, **checkpoints),
        keras.callbacks.TensorBoard(str(model_dir / "logs"), write_graph=False),
        keras.callbacks.CSVLogger(str(model_dir / "history.csv"), append=True),
    ]


def finished_epochs(model_dir: Path | str) -> int:
    """Return how many epochs the run in `model_dir` has finished; 0 if there is no checkpoint to continue from."""
    return Checkpoints(Path(model_dir) / CHECKPOINTS).next_epoch()
