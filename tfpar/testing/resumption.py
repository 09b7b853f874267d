"""Check that training which is interrupted after any step ends like training that is not."""

import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfpar.checkpoint_files import list_checkpoints
from tfpar.cluster import is_chief
from tfpar.train import Checkpoints
from tfpar.train.checkpoints.callback_state import read_states, split_arrays
from tfpar.train.checkpoints.variables import VariableReader


def assert_resumes_at_every_step(
    make_model: Callable[[], keras.Model],
    make_data: Callable[[], Any],
    steps: int,
    *,
    make_callbacks: Callable[[], list[keras.callbacks.Callback]] = list,
    make_resumed_model: Callable[[], keras.Model] | None = None,
    at: Iterable[int] | None = None,
    tolerance: float = 0.0,
    directory: str | Path | None = None,
    **fit: Any,
) -> None:
    """Check that a run which is stopped and resumed at each step equals one that was not interrupted.

    A run saves a checkpoint after each step. Then, for each step, a new model and new data continue from the
    checkpoint of that step, as a new process would. Weights, the optimizer's variables, logs of each step, history and
    states of callbacks must be equal.

    Args:
        make_model: function that returns a compiled `tfpar.train.Model`, with the same initial weights at each call.
        make_data: function that returns the data: what `fit` takes as `x`, or a tuple of arrays (x, y) or (x, y,
            sample_weight). Shuffling needs a seed.
        steps: of the run, rounded up to whole epochs.
        make_callbacks: function that returns more callbacks.
        make_resumed_model: `make_model` of the resumed runs, if it differs: on another number of replicas, for example.
        at: steps to resume at; None: all but the last. With `steps_per_execution` above 1 those between executions.
        tolerance: largest difference of a number, absolute, or relative to numbers above 1; 0: bit for bit.
        directory: for checkpoints; None: a temporary one. Several workers need an empty one that all see.
        **fit: more arguments of `fit`, such as `batch_size`, `shuffle` or `validation_data`.

    Raises:
        AssertionError: a run differs; the message names the step and what differs.

    Example:

    >>> def make_model():
    ...     keras.utils.set_random_seed(1)
    ...     inputs = keras.Input((3,))
    ...     model = tfpar.train.Model(inputs, keras.layers.Dense(1)(inputs))
    ...     model.compile("adam", "mse", jit_compile=False)
    ...     return model
    >>> x, y = np.arange(12.0).reshape(4, 3), np.ones((4, 1))
    >>> tfpar.testing.assert_resumes_at_every_step(make_model, lambda: (x, y), steps=2, batch_size=2)
    """
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(directory or temporary)
        run = _Run(make_model, make_data, make_callbacks, fit, steps)
        expected, logs = run.train(root / "all", keep=10**6)
        if make_resumed_model is not None:
            run = _Run(make_resumed_model, make_data, make_callbacks, fit, steps)
        for step in run.steps_of(logs)[:-1] if at is None else at:
            if is_chief():
                shutil.rmtree(root / "one", ignore_errors=True)
                saved = [path for path in list_checkpoints(root / "all") if int(path.name.split("-")[1]) == step]
                shutil.copytree(saved[0], root / "one" / saved[0].name)
            results, resumed_logs = run.train(root / "one", keep=2)
            _compare(step, results, expected, tolerance)
            _compare(step, {"logs": resumed_logs}, {"logs": logs[len(logs) - len(resumed_logs) :]}, tolerance)


class _Run:
    """One way to train."""

    def __init__(self, make_model, make_data, make_callbacks, fit, steps):
        self._make_model, self._make_data, self._make_callbacks = make_model, make_data, make_callbacks
        self._fit = fit
        self._batches = self._count_batches()
        self._epochs = -(-steps // self._batches)

    def steps_of(self, logs) -> list[int]:
        """Return the number of steps after each call of `on_train_batch_end`."""
        steps, epoch, former = [], -1, self._batches
        for batch, _ in logs:
            epoch, former = epoch + (batch <= former), batch
            steps.append(epoch * self._batches + min(batch + 1, self._batches))
        return steps

    def train(self, directory, keep) -> tuple[dict[str, Any], list]:
        """Train, or continue from the checkpoints in `directory`; return results, and the logs of each step."""
        model, data, callbacks = self._make_model(), self._make_data(), self._make_callbacks()
        arguments: dict[str, Any] = (
            dict(zip(("x", "y", "sample_weight"), data, strict=False)) if _are_arrays(data) else {"x": data}
        )
        seen: list = []
        record = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append([batch, dict(logs)]))
        checkpoints = Checkpoints(directory, every="1steps", keep=keep)
        every = [*callbacks, record, checkpoints]
        history = model.fit(**arguments, epochs=self._epochs, callbacks=every, **{"verbose": 0, **self._fit}).history
        arrays = {name: value for name, value in VariableReader(model).read().items() if not name.startswith("metric.")}
        states = [entry for entry in read_states(callbacks) if entry[0] != "TensorBoard"]
        return {"history": history, "callbacks": split_arrays(states, arrays, "state"), **arrays}, seen

    def _count_batches(self) -> int:
        data, batches = self._make_data(), self._fit.get("steps_per_epoch")
        if batches is None and _are_arrays(data):
            batches = -(-len(keras.tree.flatten(data[0])[0]) // self._fit.get("batch_size", 32))
        if batches is None:
            batches = data.num_batches if isinstance(data, keras.utils.PyDataset) else int(data.cardinality())
        if batches is None or batches < 1:
            raise ValueError("`make_data` must return data of known length, or pass steps_per_epoch.")
        return batches


def _are_arrays(data) -> bool:
    return isinstance(data, tuple)


def _compare(step, got, expected, tolerance):
    """Compare nested results, and name the first that differs."""
    if (difference := _find_difference(got, expected, tolerance)) is not None:
        raise AssertionError(f"resumed at step {step}: {difference}")


def _find_difference(got, expected, tolerance, name="") -> str | None:
    if isinstance(expected, dict | list | tuple):
        keys = list(expected) if isinstance(expected, dict) else range(len(expected))
        if len(got) != len(expected) or (isinstance(expected, dict) and set(got) != set(expected)):
            return f"{name} has other entries: {got}; expected {expected}"
        differences = (
            _find_difference(got[key], expected[key], tolerance, f"{name}.{key}".lstrip(".")) for key in keys
        )
        return next(filter(None, differences), None)
    a, b = np.asarray(got), np.asarray(expected)
    if tolerance and a.shape == b.shape and a.dtype.kind == b.dtype.kind == "f":
        if np.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True):
            return None
    elif a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes():
        return None
    return f"{name} is {got}; expected {expected}"
