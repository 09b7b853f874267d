"""Callbacks that recipes share."""

import json
import time
from pathlib import Path

import keras


class Throughput(keras.callbacks.Callback):
    """Measures how fast training goes, compilation apart.

    Args:
        examples: training examples an epoch.

    Attributes:
        examples_per_second: median over the epochs; the first, in which programs are compiled, counts only if it is
            the only one.
    """

    def __init__(self, examples: int):
        super().__init__()
        self._examples = examples
        self._batches_s = []
        self._epochs_s = []

    def on_train_batch_begin(self, batch, logs=None):
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self._batches_s.append(time.perf_counter() - self._start)

    def on_epoch_begin(self, epoch, logs=None):
        self._batches_s = []

    def on_epoch_end(self, epoch, logs=None):
        self._epochs_s.append(sum(self._batches_s))

    @property
    def examples_per_second(self) -> float:
        """See the class."""
        steady = sorted(self._epochs_s[1:] or self._epochs_s)
        return self._examples / steady[len(steady) // 2]


class StopAtStep(keras.callbacks.Callback):
    """Ends training after a number of steps.

    Args:
        steps: how many.
    """

    def __init__(self, steps: int):
        super().__init__()
        self._left = steps

    def on_train_batch_end(self, batch, logs=None):
        self._left -= 1
        if self._left <= 0:
            self.model.stop_training = True


def logging_callbacks(model_dir: Path | str) -> list[keras.callbacks.Callback]:
    """TensorBoard and CSV logs, and a backup after each epoch from which `fit` goes on if it was stopped.

    Args:
        model_dir: directory for all of them.
    """
    model_dir = Path(model_dir)
    return [
        keras.callbacks.BackupAndRestore(str(model_dir / "backup")),
        keras.callbacks.TensorBoard(str(model_dir / "logs"), write_graph=False),
        keras.callbacks.CSVLogger(str(model_dir / "history.csv"), append=True),
    ]


def finished_epochs(model_dir: Path | str) -> int:
    """How many epochs the run in `model_dir` had finished when it was stopped; 0 if there is nothing to go on from."""
    path = Path(model_dir) / "backup" / "training_metadata.json"
    return json.loads(path.read_text())["epoch"] if path.exists() else 0
