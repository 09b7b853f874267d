"""Order of callbacks: checkpoints come last, since they save what all others have done."""

from collections.abc import Sequence
from typing import Any

import keras

from tfpar.train.checkpoints.callback import Checkpoints


def as_callback_list(callbacks: Any) -> list[keras.callbacks.Callback]:
    """Return the argument `callbacks` of `fit`, None, a callback or several, as a new list."""
    return [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else list(callbacks or ())


def find_checkpoints(callbacks: Sequence[keras.callbacks.Callback]) -> Checkpoints | None:
    """Return the `Checkpoints` among callbacks, or None.

    Raises:
        ValueError: there are several.
    """
    found = [callback for callback in callbacks if isinstance(callback, Checkpoints)]
    if len(found) > 1:
        raise ValueError(f"`callbacks` must have one Checkpoints at most; got {len(found)}.")
    return found[0] if found else None


def order_callbacks(callbacks: Sequence[keras.callbacks.Callback]) -> list[keras.callbacks.Callback]:
    """Move `Checkpoints` behind all others and behind a `History`, which Keras would append."""
    checkpoints = find_checkpoints(callbacks)
    if checkpoints is None:
        return list(callbacks)
    others = [callback for callback in callbacks if callback is not checkpoints]
    if not any(isinstance(callback, keras.callbacks.History) for callback in others):
        others.append(keras.callbacks.History())
    return [*others, checkpoints]
