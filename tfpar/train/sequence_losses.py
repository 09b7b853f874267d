"""Losses and metrics where replicas divide the time axis."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfpar.contexts import attributes_set
from tfpar.train.batch_losses import LossArguments
from tfpar.train.step_context import current_step

_TRIED_ROWS, _TRIED_STEPS, _TRIED_SIZE = 4, 6, 3


def check_loss(loss: Any, arguments: LossArguments, shard: Any) -> None:
    """Refuse a loss unless it is a mean, or a sum, of values of single rows and steps; called while a step is traced.

    It is tried on random numbers: half of the rows and steps must have the values that they have among all.

    Args:
        loss: a Keras loss.
        arguments: of this replica.
        shard: `tfpar.train.sequence_sharding.SequenceShard` of this replica.

    Raises:
        ValueError: names the loss.
    """
    has_time = shard.has_time(arguments.y_pred)
    name = getattr(loss, "name", type(loss).__name__)
    if type(loss).__call__ is not keras.losses.Loss.__call__ or not _computes_alone(loss, arguments, has_time):
        raise ValueError(
            f"The loss {name!r} is no mean of the losses of single {'steps' if has_time else 'rows'}, which strategy "
            "'sequence' divides over replicas. Use one that is, or strategy 'mirrored' or 'multiworker'."
        )
    weight = arguments.sample_weight
    if not has_time or weight is None or loss.reduction != "mean_with_sample_weight":
        return
    if shard.is_row_weight(weight, arguments.y_pred):
        raise ValueError(
            f"`sample_weight` must have the shape (batch, time) for the loss {name!r}, whose reduction is "
            f"'mean_with_sample_weight', under strategy 'sequence'; got {tuple(weight.shape)}. Repeat it for each step."
        )


def _computes_alone(loss, arguments: LossArguments, has_time: bool) -> bool:
    """Return whether each row, or each step of each row, has a value of its own; tried on random numbers."""
    generator = np.random.default_rng(0)

    def make_numbers(tensor):
        shape = [_TRIED_ROWS, *(size or _TRIED_SIZE for size in tensor.shape[1:])]
        if has_time:
            shape[1] = _TRIED_STEPS
        dtype = tf.as_dtype(tensor.dtype)
        numbers = generator.uniform(0.1, 0.9, shape) if dtype.is_floating else generator.integers(0, 2, shape)
        return tf.constant(numbers, dtype)

    def take_half(tensor):
        rows = tensor[: _TRIED_ROWS // 2]
        return rows[:, : _TRIED_STEPS // 2] if has_time else rows

    with tf.init_scope():
        try:
            whole = [keras.tree.map_structure(make_numbers, nest) for nest in arguments[:2]]
            return _are_equal(loss, whole, take_half, 2 if has_time else 1)
        except Exception:  # a user's code may refuse such numbers; then nothing is known
            return False


def _are_equal(loss, whole: list, take_half: Callable, axes: int) -> bool:
    half = [keras.tree.map_structure(take_half, nest) for nest in whole]
    of_whole, of_half = (np.asarray(tf.convert_to_tensor(loss.call(*nests))) for nests in (whole, half))
    sizes = (_TRIED_ROWS, _TRIED_STEPS)[:axes]
    if of_whole.shape[:axes] != sizes:
        return False
    return np.allclose(np.asarray(take_half(tf.constant(of_whole))), of_half, rtol=1e-3, atol=1e-5, equal_nan=True)


@contextlib.contextmanager
def metrics_weighted_by_steps(model: keras.Model) -> Iterator[None]:
    """Within this context Keras' means are updated by the weight of this replica's steps.

    `keras.metrics.Mean` averages over the time axis before it adds up rows, so slices of different lengths would have
    the same weight. Other metrics add up steps.
    """
    shard = current_step().sequence_shard
    with contextlib.ExitStack() as stack:
        for metric in _flat_metrics(model) if shard is not None else ():
            if isinstance(metric, keras.metrics.Mean):
                update = _weighted_update(metric.update_state, shard)
                stack.enter_context(attributes_set(metric, {"update_state": update}))
        yield


def _flat_metrics(model) -> list:
    """List the metrics of `compile`, which Keras nests in containers."""
    return [each for metric in model.metrics for each in getattr(metric, "metrics", [])]


def _weighted_update(update_state: Callable, shard: Any) -> Callable:
    def update(y_true, y_pred, sample_weight=None):
        if shard.has_time(y_pred):
            ones = tf.ones((tf.shape(y_pred)[0], 1))
            weight = ones if sample_weight is None else tf.cast(sample_weight, tf.float32)
            sample_weight = weight * shard.fraction(y_pred)
        return update_state(y_true, y_pred, sample_weight=sample_weight)

    return update
