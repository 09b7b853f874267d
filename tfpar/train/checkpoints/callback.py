"""`Checkpoints`: the callback that saves the whole state of training and continues from it."""

import io
import json
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfpar import checkpoint_files, keras_private
from tfpar.checkpoint_interval import parse_interval
from tfpar.checks import check_positive_integer
from tfpar.cluster import stop_request
from tfpar.cluster.multiworker import is_chief, is_multiworker
from tfpar.errors import DivergedError, UserError
from tfpar.train.broadcast import Broadcast
from tfpar.train.checkpoints import callback_state, variables
from tfpar.train.checkpoints.data_position import DataPosition
from tfpar.train.checkpoints.random_state import read_random_state, restore_random_state
from tfpar.train.checkpoints.schedule import Schedule

_STATE, _ARRAYS = "state.json", "arrays.npz"
RESTART = "pass restart=True (recipes: --restart)"
OTHER_ORDER = (
    "The data come in another order than in the interrupted run, so that some examples would be trained on twice, "
    "and others not at all. Give shuffling a seed, or call keras.utils.set_random_seed(NUMBER) before the data are "
    f"made. To begin again, {RESTART}."
)


class Checkpoints(keras.callbacks.Callback):
    """Callback that saves the whole state of training, and lets `fit` continue from the newest checkpoint.

    The next `fit` with the same directory, in this process or another, begins behind the last step that was saved: with
    the weights, the optimizer's variables, metrics, random seeds, position in the data, history, and states of the
    callbacks. Its results are those of a run that was not interrupted, bit for bit on the same devices. A finished run
    trains no further unless `epochs` is larger. For `tfpar.train.Model`.

    On SIGTERM and Ctrl-C training is saved after the current batch, on all workers after the same one, and the program
    ends with exit code 3. A validation is finished first if that takes a few seconds; else the last checkpoint stays
    the newest.

    A checkpoint is a directory. It is written beside the others, synchronized to the disk, and then renamed. All of it
    is verified by sha256 before a variable changes; if it is damaged, a warning names it, and the one before is used.
    Among several workers the chief reads and writes.

    Args:
        directory: of the checkpoints of one run.
        every: interval: "50steps", "2epochs" or "300s". The end of training is saved in any case.
        keep: number of checkpoints that stay, at least 2.
        fingerprint: facts that must not change during the run, by name: values that JSON can hold.
        restart: remove the checkpoints of an earlier run.
        replays_epochs: False if the dataset begins with the epoch to continue, which `next_epoch` returns. Else as many
            iterators are made over it as the interrupted run had used, so that shuffling continues.

    Raises:
        ValueError: an argument is not as described.
        UserError: from `fit`: a fact, the model or the order of the data has changed, all checkpoints are damaged, or
            another run uses the directory.
        OSError: from `fit`: a checkpoint cannot be written. Older ones are intact.

    Example:

    >>> import tempfile
    >>> inputs = keras.Input((3,))
    >>> model = tfpar.train.Model(inputs, keras.layers.Dense(1)(inputs))
    >>> model.compile("sgd", "mse")
    >>> checkpoints = tfpar.train.Checkpoints(tempfile.mkdtemp(), every="1epoch")
    >>> x, y = np.ones((4, 3)), np.ones((4, 1))
    >>> _ = model.fit(x, y, epochs=2, callbacks=[checkpoints], verbose=0)
    >>> len(model.fit(x, y, epochs=5, callbacks=[checkpoints], verbose=0).history["loss"])
    5
    """

    def __init__(
        self,
        directory: str | Path,
        every: str = "1epoch",
        keep: int = 2,
        *,
        fingerprint: Mapping[str, Any] | None = None,
        restart: bool = False,
        replays_epochs: bool = True,
    ):
        super().__init__()
        if check_positive_integer("keep", keep) < 2:
            raise ValueError("`keep` must be at least 2, since the newest checkpoint may be damaged; got 1.")
        self.directory, self._interval, self._keep = Path(directory), parse_interval(every), keep
        self._fingerprint = json.loads(json.dumps(dict(fingerprint or {})))
        self._restart, self._replays_epochs = restart, replays_epochs
        self._callbacks: list[keras.callbacks.Callback] = []
        self._lock: int | None = None

    def next_epoch(self) -> int:
        """Return the epoch that training continues in; 0 if there is no checkpoint."""
        content = None if self._restart else checkpoint_files.read_newest(self.directory)[0]
        return content.facts["epoch"] if content else 0

    def prepare(self, callbacks: list[keras.callbacks.Callback]) -> DataPosition:
        """Prepare for one call of `fit`, before it runs any callback.

        Args:
            callbacks: all of this call.

        Returns:
            The position in its data.
        """
        self._callbacks = callbacks
        boards = [callback for callback in callbacks if isinstance(callback, keras.callbacks.TensorBoard)]
        self._former_events = [path for board in boards for path in callback_state.event_files(board)]
        self._position = DataPosition(self._replays_epochs)
        return self._position

    def release(self) -> None:
        """Let other runs use the directory, at the end of `fit`."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        stop_request.begin_steps()
        if not self._callbacks or self._callbacks[-1] is not self:
            raise ValueError("Checkpoints are for `tfpar.train.Model.fit`, and for its `callbacks` as a list.")
        strategy = self.model.distribute_strategy
        self._is_multiworker = is_multiworker(strategy)
        self._broadcast: Callable[[bytes], bytes] = Broadcast(strategy) if self._is_multiworker else bytes
        self._reader = variables.VariableReader(self.model)
        self._step, self._epoch, self._batch = 0, 0, 0
        self._arrays: variables.Arrays = {}
        self._begin_of_epoch: dict[str, Any] = {}
        self._continued: dict[str, Any] | None = None
        self._schedule = Schedule(self._interval, self._agree_on_time)
        files = self._read()
        if files is not None:
            self._continue(*files)
        self._schedule.start(self._step)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch
        if self._continued is not None and self._batch:
            variables.assign_metrics(self.model, self._arrays)
            restore_random_state(self._continued["random"])
            self._begin_of_epoch = self._continued["random"]
        else:
            self._batch, self._continued = 0, None
            self._position.begin_epoch()
            self._begin_of_epoch = read_random_state()
        self._arrays = {}

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        batches = self._position.batches
        done = batch + 1 if batches is None else min(batch + 1, batches)
        self._position.advance(done - self._batch)
        self._step += done - self._batch
        self._batch = done
        if self._continued is not None:
            if not self._position.is_same_order(self._continued["data"]):
                raise UserError(OTHER_ORDER)
            self._continued = None
        is_last = batches is not None and done >= batches  # then the end of the epoch is saved
        is_stopped = stop_request.is_agreed() and not is_last
        if (self._schedule.is_due(self._step) or is_stopped) and not is_last and not self.model.stop_training:
            self._save(self._epoch, self._batch)
        if is_stopped:
            stop_request.stop()

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if stop_request.is_urgent():
            stop_request.stop()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._batch = 0
        is_last = self.model.stop_training or epoch + 1 >= self.params["epochs"]
        is_stopped = stop_request.is_agreed()
        if self._schedule.is_due(self._step, finished_epochs=epoch + 1) or is_last or is_stopped:
            self._save(epoch + 1, 0)
        if is_stopped and not is_last:
            stop_request.stop()

    def on_train_end(self, logs: dict | None = None) -> None:
        stop_request.end_steps()

    # Saving

    def _save(self, epoch, batch):
        """Save the state behind a step, from which training continues at a batch of an epoch."""
        arrays = self._reader.read()
        self._schedule.note_saved(self._step)
        if not is_chief():
            return
        if (path := variables.find_non_finite_weight(self.model, arrays)) is not None:
            warnings.warn(f"{path} is not finite after step {self._step}: no checkpoint is written.", stacklevel=2)
            return
        state = {
            "step": self._step,
            "epoch": epoch,
            "batch": batch,
            "stopped": bool(self.model.stop_training),
            "data": self._position.get_state(batch),
            "random": self._begin_of_epoch if batch else read_random_state(),
            "callbacks": callback_state.read_states(self._callbacks),
            "variables": variables.describe_variables(self.model),
        }
        plain = callback_state.split_arrays(state, arrays, "state")
        buffer = io.BytesIO()
        entries: dict[str, Any] = dict(arrays)
        np.savez(buffer, **entries)
        files = {_STATE: json.dumps(plain).encode(), _ARRAYS: buffer.getbuffer()}
        name = checkpoint_files.checkpoint_name(self._step, None if batch else epoch)
        facts = {"step": self._step, "epoch": epoch, "batch": batch, "fingerprint": self._fingerprint}
        checkpoint_files.write_checkpoint(self.directory, name, files, facts)
        checkpoint_files.remove_old(self.directory, self._keep)

    def _agree_on_time(self, seconds: float) -> float:
        """Return the chief's `seconds` on all workers."""
        return float(np.frombuffer(self._broadcast(np.float64(seconds).tobytes()))[0])

    # Continuing

    def rewind(self) -> int:
        """Give the model the variables of the newest intact checkpoint; all workers call it.

        Returns:
            The step of the checkpoint.

        Raises:
            DivergedError: there is none yet.
        """
        found = self._read()
        if found is None:
            raise DivergedError("there is no checkpoint to go back to")
        state, arrays = found
        variables.assign_variables(self.model, arrays)
        return state["step"]

    def _read(self) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """Return state and arrays of the newest intact checkpoint, as the chief reads them; None if there is none.

        Raises:
            UserError: all are damaged, or facts have changed.
        """
        content, failure = None, ""
        if is_chief():
            try:
                content = self._read_as_chief()
            except (ValueError, OSError) as error:
                if not self._is_multiworker:
                    raise
                failure = str(error)  # all workers must end
        if self._is_multiworker:
            message = json.loads(self._broadcast(json.dumps([content is not None, failure]).encode()))
            if message[1]:
                raise UserError(message[1])
            if not message[0]:
                return None
        if content is None and not self._is_multiworker:
            return None
        files = content.files if content else {_STATE: b"", _ARRAYS: b""}
        with np.load(io.BytesIO(self._broadcast(files[_ARRAYS])), allow_pickle=False) as saved:
            arrays = {name: saved[name] for name in saved.files}
        return callback_state.join_arrays(json.loads(self._broadcast(files[_STATE])), arrays), arrays

    def _read_as_chief(self) -> checkpoint_files.Checkpoint | None:
        if self._lock is None:
            self._lock = checkpoint_files.lock(self.directory)
        if self._restart:
            checkpoint_files.remove_all(self.directory)
            self._restart = False  # this run's own checkpoints stay
        checkpoint_files.remove_unfinished(self.directory)
        content, damaged = checkpoint_files.read_newest(self.directory)
        if content is None:
            if damaged:
                names = "; ".join(f"{error.path.name}: {error.reason}" for error in damaged)
                raise UserError(f"No checkpoint in {self.directory} is intact ({names}). To begin again, {RESTART}.")
            return None
        check_fingerprint(content.facts["fingerprint"], self._fingerprint)
        for error in damaged:
            warnings.warn(f"{error}; {content.path.name} is used.", stacklevel=2)
            checkpoint_files.set_aside(error.path)
        return content

    def _continue(self, state, arrays):
        """Restore all but the metrics, which Keras resets at the begin of an epoch."""
        if self.model.optimizer is not None and not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        check_variables(state["variables"], variables.describe_variables(self.model))
        variables.assign_variables(self.model, arrays)
        callback_state.cut_event_files(self._callbacks, state["callbacks"], self._former_events)
        callback_state.restore_states(self._callbacks, state["callbacks"])
        self._step, self._batch, self._arrays, self._continued = state["step"], state["batch"], arrays, state
        self._position.set_state(state["data"], state["batch"])
        if not state["batch"]:
            restore_random_state(state["random"])
        epoch = max(state["epoch"], self.params["epochs"]) if state["stopped"] else state["epoch"]
        keras_private.set_initial_epoch(self.model, epoch)


def check_fingerprint(former: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that no fact of a run has changed.

    Raises:
        UserError: naming the first fact that has.
    """
    for name in former.keys() | now.keys():
        if former.get(name) != now.get(name):
            raise UserError(
                f"`{name}` was {former.get(name)!r} in this run; got {now.get(name)!r}. Use another directory, or "
                f"{RESTART}."
            )


def check_variables(former: list, now: list) -> None:
    """Check that a model has the variables of a checkpoint: lists of path, shape and dtype.

    Raises:
        UserError: naming the first that differs.
    """
    for index in range(max(len(former), len(now))):
        old, new = (entries[index] if index < len(entries) else ["none", [], ""] for entries in (former, now))
        if old[1:] != new[1:]:
            described = [f"{path} {dtype} {tuple(shape)}" for path, shape, dtype in (old, new)]
            raise UserError(
                f"The model is not that of the checkpoint: variable {index} was {described[0]}; got {described[1]}. "
                f"Use another directory, or {RESTART}."
            )
