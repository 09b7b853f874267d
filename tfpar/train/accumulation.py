"""Gradient accumulation by sums: batches count by their examples, where Keras takes the mean of the batches' means."""

import contextlib

import keras
import tensorflow as tf

from tfpar import keras_private
from tfpar.ops.sums import sum_of_squares
from tfpar.train.replica import nested_optimizers


def innermost(optimizer):
    """The optimizer that updates the weights, inside a `LossScaleOptimizer` or by itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def add_accumulated_weight(optimizer) -> None:
    """Gives a built optimizer that accumulates gradients a variable for the weight of what it has accumulated."""
    if optimizer is None:
        return
    optimizer = innermost(optimizer)
    accumulates = getattr(optimizer, "gradient_accumulation_steps", None)
    if accumulates and optimizer.built and not hasattr(optimizer, "accumulated_weight"):
        optimizer.accumulated_weight = optimizer.add_variable(shape=(), dtype="float32", name="accumulated_weight")


def apply_sums(optimizer, pairs, weight) -> None:
    """Steps an optimizer by sums of gradients, divided by their weight.

    Args:
        optimizer: a Keras optimizer.
        pairs: list of (sum of gradients or None, variable).
        weight: float32 scalar.
    """
    if _must_see_means(optimizer) or any(isinstance(g, tf.IndexedSlices) for g, _ in pairs):
        optimizer.apply_gradients([(_mean(g, weight), v) for g, v in pairs])
        return
    with divided_by_weight(optimizer, weight):
        optimizer.apply_gradients(pairs)


def takes_rows(optimizer) -> bool:
    """Whether an optimizer can be given `tf.IndexedSlices`, which Keras' clips, scales and accumulates otherwise."""
    if optimizer is None or isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return False
    names = ("gradient_accumulation_steps", "clipnorm", "clipvalue", "global_clipnorm", "loss_scale_factor")
    return not any(getattr(one, name) for one in nested_optimizers(optimizer) for name in names)


def _mean(gradient, weight):
    if gradient is None:
        return None
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(_mean(gradient.values, weight), gradient.indices, gradient.dense_shape)
    return tf.math.divide_no_nan(gradient, tf.cast(weight, gradient.dtype))


def _must_see_means(optimizer) -> bool:
    """Whether code that is not Keras' own reads gradients before `divided_by_weight` divides them."""
    inner = innermost(optimizer)
    if inner is not optimizer and type(optimizer).apply is not keras.optimizers.LossScaleOptimizer.apply:
        return True
    if inner.gradient_accumulation_steps and not hasattr(inner, "accumulated_weight"):
        return True  # not built before the first step
    return keras_private.reads_gradients_first(inner)


@contextlib.contextmanager
def divided_by_weight(optimizer, weight):
    """Within this context an optimizer is given sums of gradients and steps by their mean.

    Args:
        optimizer: a Keras optimizer.
        weight: float32 scalar, by which the sums are to be divided. Where gradients are accumulated, their sum is
            divided by the sum of the weights.
    """
    optimizer = innermost(optimizer)
    steps = optimizer.gradient_accumulation_steps or 1
    accumulated = getattr(optimizer, "accumulated_weight", None)
    total = weight if accumulated is None else accumulated + weight
    clip = keras_private.clip_gradients(optimizer)

    def clip_mean(gradients):
        # Keras has divided by the number of steps.
        if _clips_global_norm(optimizer):
            return _clipped_means(gradients, steps, total, optimizer.global_clipnorm)
        return clip([tf.math.divide_no_nan(g * steps, tf.cast(total, g.dtype)) for g in gradients])

    with contextlib.ExitStack() as stack:
        stack.enter_context(keras_private.replace_clipping(optimizer, clip_mean))
        if accumulated is not None:
            add, reset = lambda: accumulated.assign(total), lambda: accumulated.assign(0.0)
            stack.enter_context(keras_private.accumulation_observed(optimizer, add, reset))
        yield


def _clips_global_norm(optimizer):
    return bool(optimizer.global_clipnorm) and keras_private.clips_as_keras(optimizer)


def _clipped_means(gradients, steps, total, clip_norm):
    """Keras' clipping by the global norm, of the means of sums; zeros where there is nothing to take the mean of.

    One product takes a sum to its clipped mean, and XLA computes it where the optimizer reads it: a large table is gone
    through twice less.
    """
    to_mean = steps / total
    norm = to_mean * tf.sqrt(tf.add_n([sum_of_squares(tf.cast(gradient, tf.float32)) for gradient in gradients]))
    clip = clip_norm * tf.minimum(1 / norm, 1 / clip_norm) + (norm - norm)  # no number where the norm is none
    return [tf.where(total == 0, tf.zeros([], g.dtype), g * tf.cast(to_mean * clip, g.dtype)) for g in gradients]
