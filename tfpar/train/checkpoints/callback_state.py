"""States of callbacks: of those that declare it, and of Keras' own."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import keras
import numpy as np
import tensorflow as tf

from tfpar import keras_private

State = Any  # what JSON can hold, and NumPy arrays, in nested dicts and lists


@runtime_checkable
class Stateful(Protocol):
    """A callback, or a `keras.utils.PyDataset`, with a state that checkpoints hold."""

    def get_state(self) -> State:
        """Return the state: what JSON can hold, and NumPy arrays, in nested dicts and lists."""

    def set_state(self, state: State) -> None:
        """Restore a state of `get_state`; of a callback after `on_train_begin` of all."""


def read_states(callbacks: Sequence[keras.callbacks.Callback]) -> list[list]:
    """Return class name and state of each callback that has a state."""
    found = ((type(callback).__name__, _read(callback)) for callback in callbacks)
    return [[name, state] for name, state in found if state is not None]


def restore_states(callbacks: Sequence[keras.callbacks.Callback], states: Sequence[Sequence]) -> None:
    """Give each callback the state of the first unused callback of its class, if there is one."""
    remaining = list(states)
    for callback in callbacks:
        for index, (name, state) in enumerate(remaining):
            if name == type(callback).__name__:
                _restore(callback, state)
                del remaining[index]
                break


def _read(callback) -> State:
    if isinstance(callback, Stateful):
        return callback.get_state()
    if isinstance(callback, keras.callbacks.CSVLogger):
        path = Path(callback.filename)
        return {"text": path.read_text() if path.exists() else ""}
    attributes = {name: _as_plain(getattr(callback, name, None)) for name in keras_private.state_attributes(callback)}
    if isinstance(callback, keras.callbacks.TensorBoard):
        keras_private.flush_writers(callback)
        attributes["sizes_bytes"] = {
            str(path.relative_to(callback.log_dir)): path.stat().st_size for path in event_files(callback)
        }
    return attributes or None


def _restore(callback, state) -> None:
    if isinstance(callback, Stateful):
        callback.set_state(state)
    elif isinstance(callback, keras.callbacks.CSVLogger):
        _rewrite(callback, state["text"])
    else:
        for name in keras_private.state_attributes(callback):
            if name in state:
                setattr(callback, name, state[name])


def _rewrite(logger, text) -> None:
    """Replace the content of the open file of a CSVLogger: it may have rows of steps after the checkpoint."""
    file = logger.csv_file
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()
    logger.append_header = not text


def event_files(callback: keras.callbacks.TensorBoard) -> list[Path]:
    """List TensorBoard's event files in the directory of a callback."""
    return sorted(path for path in Path(callback.log_dir).rglob("*tfevents*") if path.is_file())


def cut_event_files(
    callbacks: Sequence[keras.callbacks.Callback], states: Sequence[Sequence], files: Sequence[Path]
) -> None:
    """Cut events of steps after the checkpoint from TensorBoard's files.

    Args:
        callbacks: of this run.
        states: of the checkpoint.
        files: that existed before this run began to write; those that the checkpoint does not name are removed.
    """
    sizes_bytes = [state["sizes_bytes"] for name, state in states if name == "TensorBoard"]
    boards = [callback for callback in callbacks if type(callback).__name__ == "TensorBoard"]
    for board, sizes in zip(boards, sizes_bytes, strict=False):
        for path in files:
            if not path.is_relative_to(board.log_dir):
                continue
            size = sizes.get(str(path.relative_to(board.log_dir)))
            if size is None:
                path.unlink(missing_ok=True)
            elif path.stat().st_size > size:
                os.truncate(path, size)


def _as_plain(value):
    """Return a value as JSON and arrays can hold it."""
    if isinstance(value, tf.Tensor | keras.Variable):
        value = keras.ops.convert_to_numpy(value)
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    if isinstance(value, dict):
        return {name: _as_plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_as_plain(entry) for entry in value]
    return value


def split_arrays(state: State, arrays: dict[str, np.ndarray], prefix: str) -> State:
    """Replace the arrays of a state by their names, under which they are added to `arrays`."""
    if isinstance(state, np.ndarray):
        name = f"{prefix}.{len(arrays)}"
        arrays[name] = state
        return {"array": name}
    if isinstance(state, dict):
        return {name: split_arrays(entry, arrays, prefix) for name, entry in state.items()}
    if isinstance(state, list | tuple):
        return [split_arrays(entry, arrays, prefix) for entry in state]
    return _as_plain(state)


def join_arrays(state: State, arrays: dict[str, np.ndarray]) -> State:
    """Undo `split_arrays`."""
    if isinstance(state, dict):
        if list(state) == ["array"]:
            return arrays[state["array"]]
        return {name: join_arrays(entry, arrays) for name, entry in state.items()}
    if isinstance(state, list):
        return [join_arrays(entry, arrays) for entry in state]
    return state
