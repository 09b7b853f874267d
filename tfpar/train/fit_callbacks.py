"""What the callbacks of `fit` need of a model before the first step, and what is undone after the last."""

from typing import TYPE_CHECKING, Any

import keras

from tfpar import keras_private
from tfpar.train.callback_order import as_callback_list, find_callback, order_callbacks, own_callbacks
from tfpar.train.checkpoints.callback import Checkpoints
from tfpar.train.non_finite_guard import NonFiniteGuard

if TYPE_CHECKING:
    from tfpar.train.model import Model


def prepare_callbacks(model: "Model", callbacks: Any) -> Any:
    """Order the callbacks of a call of `fit`, and let checkpoints and a guard prepare the model.

    A `keras.callbacks.CallbackList` is returned as it is.

    Raises:
        ValueError: a `NonFiniteGuard` is given to a model with a `train_step` of its own.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    callbacks = as_callback_list(callbacks)
    if getattr(model.distribute_strategy, "is_multiworker", False):
        callbacks = own_callbacks(callbacks)
    callbacks = order_callbacks(callbacks)
    checkpoints, guard = find_callback(callbacks, Checkpoints), find_callback(callbacks, NonFiniteGuard)
    model.data_position = checkpoints.prepare(callbacks) if checkpoints else None
    if guard is not None:
        if not model.has_step_of_tfpar():
            raise ValueError(
                f"NonFiniteGuard is for the step of `tfpar.train.Model`, but {type(model).__name__} has its own "
                "`train_step`. Override `forward_backward` instead."
            )
        model.step_guard = guard.prepare(model, checkpoints)
        model.train_function = None  # it is traced with the guard
    return callbacks


def undo_callbacks(model: "Model", callbacks: Any) -> None:
    """Undo what callbacks have set, and Keras does not reset; let other runs use the directory of checkpoints."""
    if isinstance(callbacks, list) and (checkpoints := find_callback(callbacks, Checkpoints)) is not None:
        checkpoints.release()
    keras_private.set_initial_epoch(model, 0)
    if model.step_guard is not None:
        model.step_guard.restore_schedule()
        model.step_guard = model.train_function = None
