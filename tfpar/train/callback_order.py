"""Which callbacks run here, and in which order: the guard first, and checkpoints behind all whose work they save."""

from collections.abc import Sequence
from typing import Any, TypeVar

import keras

from tfpar.cluster import is_chief
from tfpar.train.checkpoints.callback import Checkpoints
from tfpar.train.non_finite_guard import NonFiniteGuard

CallbackT = TypeVar("CallbackT", bound=keras.callbacks.Callback)

# These write or send something, which one process must do for all.
CHIEF_CALLBACKS = (
    keras.callbacks.BackupAndRestore,
    keras.callbacks.CSVLogger,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.OrbaxCheckpoint,
    keras.callbacks.RemoteMonitor,
    keras.callbacks.TensorBoard,
)


def as_callback_list(callbacks: Any) -> list[keras.callbacks.Callback]:
    """Return the argument `callbacks` of `fit`, None, a callback or several, as a new list."""
    return [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else list(callbacks or ())


def own_callbacks(callbacks: Sequence[keras.callbacks.Callback]) -> list[keras.callbacks.Callback]:
    """Return the callbacks that one of several workers runs: those that write or send something run on the chief."""
    return [callback for callback in callbacks if is_chief() or not isinstance(callback, CHIEF_CALLBACKS)]


def find_callback(callbacks: Sequence[keras.callbacks.Callback], kind: type[CallbackT]) -> CallbackT | None:
    """Return the callback of a class, or None.

    Raises:
        ValueError: there are several.
    """
    found = [callback for callback in callbacks if isinstance(callback, kind)]
    if len(found) > 1:
        raise ValueError(f"`callbacks` must have one {kind.__name__} at most; got {len(found)}.")
    return found[0] if found else None


def order_callbacks(callbacks: Sequence[keras.callbacks.Callback]) -> list[keras.callbacks.Callback]:
    """Move `NonFiniteGuard` before all others, and `Checkpoints` behind a `History`, which Keras would append."""
    guard, checkpoints = find_callback(callbacks, NonFiniteGuard), find_callback(callbacks, Checkpoints)
    first = [] if guard is None else [guard]
    others = [callback for callback in callbacks if callback not in (guard, checkpoints)]
    if checkpoints is None:
        return [*first, *others]
    if not any(isinstance(callback, keras.callbacks.History) for callback in others):
        others.append(keras.callbacks.History())
    return [*first, *others, checkpoints]
