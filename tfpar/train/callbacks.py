"""Callbacks for recipes."""

import json
import time
from pathlib import Path

import keras
import numpy as np

from tfpar.files import written_atomically
from tfpar.train.stop import StopOnRequest


class Throughput(keras.callbacks.Callback):
    """Callback that measures examples per second, without compilation.

    Args:
        examples: training examples per epoch.

    Attributes:
        examples_per_second: median over the epochs; the first, in which programs are compiled, counts only if it is
            the only one.
    """

    def __init__(self, examples: int):
        super().__init__()
        self._examples = examples
        self._batches_s: list[float] = []
        self._epochs_s: list[float] = []

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._batches_s.append(time.perf_counter() - self._start)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._batches_s = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._epochs_s.append(sum(self._batches_s))

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


class BackupAndRestore(keras.callbacks.BackupAndRestore):
    """Keras' own, which also restores the states of random seeds: a resumed run draws the same dropout masks."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        super().on_train_begin(logs)
        if self._seeds_path.exists():
            with np.load(self._seeds_path) as saved:
                for seed, name in zip(self._seeds(), saved.files, strict=True):
                    seed.assign(saved[name])

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        super().on_epoch_end(epoch, logs)
        with written_atomically(self._seeds_path) as path, open(path, "wb") as file:
            np.savez(file, *[seed.numpy() for seed in self._seeds()])

    @property
    def _seeds_path(self):
        return Path(self.backup_dir) / "seeds.npz"

    def _seeds(self):
        """List the variables that are no weights."""
        weights = {id(weight) for weight in self.model.weights}
        return [variable for variable in self.model.variables if id(variable) not in weights]


def logging_callbacks(model_dir: Path | str) -> list[keras.callbacks.Callback]:
    """Make callbacks that write TensorBoard and CSV logs, and a backup after each epoch for `fit` to resume from.

    The last one ends the program on SIGTERM and Ctrl-C, with exit code 3: see `StopOnRequest`.

    Args:
        model_dir: directory for all of them.
    """
    model_dir = Path(model_dir)
    return [
        BackupAndRestore(str(model_dir / "backup")),
        keras.callbacks.TensorBoard(str(model_dir / "logs"), write_graph=False),
        keras.callbacks.CSVLogger(str(model_dir / "history.csv"), append=True),
        StopOnRequest(),
    ]


def finished_epochs(model_dir: Path | str) -> int:
    """Return how many epochs the run in `model_dir` has finished; 0 if there is no backup to resume from."""
    path = Path(model_dir) / "backup" / "training_metadata.json"
    return json.loads(path.read_text())["epoch"] if path.exists() else 0
