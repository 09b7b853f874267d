"""Optimizer steps from sums of gradients and their weight: the mean is that over all examples.

With gradient accumulation, batches are therefore weighted by their examples, where Keras averages the batches' means.
"""

import contextlib
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from tfpar import keras_private
from tfpar.ops.sums import sum_of_squares
from tfpar.train.replica import nested_optimizers


def innermost(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Return the optimizer that updates the weights: that inside a `LossScaleOptimizer`, or `optimizer` itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def add_accumulated_weight(optimizer: keras.optimizers.Optimizer | None) -> None:
    """Add a variable for the weight of the accumulated gradients to a built optimizer that accumulates."""
    if optimizer is None:
        return
    optimizer = innermost(optimizer)
    accumulates = getattr(optimizer, "gradient_accumulation_steps", None)
    if accumulates and optimizer.built and not hasattr(optimizer, "accumulated_weight"):
        optimizer.accumulated_weight = optimizer.add_variable(shape=(), dtype="float32", name="accumulated_weight")


def apply_sums(optimizer: keras.optimizers.Optimizer, pairs: Sequence[tuple], weight: tf.Tensor) -> None:
    """Step an optimizer by sums of gradients, divided by their weight.

    Args:
        optimizer: a Keras optimizer.
        pairs: (sum of gradients or None, variable).
        weight: float32 scalar.
    """
    if _needs_means(optimizer) or any(isinstance(g, tf.IndexedSlices) for g, _ in pairs):
        optimizer.apply_gradients([(_divide(g, weight), v) for g, v in pairs])
        return
    with divided_by_weight(optimizer, weight):
        optimizer.apply_gradients(pairs)


def accepts_rows(optimizer: keras.optimizers.Optimizer | None) -> bool:
    """Return whether an optimizer can step by `tf.IndexedSlices`: if it does not clip, scale or accumulate them."""
    if optimizer is None or isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return False
    names = ("gradient_accumulation_steps", "clipnorm", "clipvalue", "global_clipnorm", "loss_scale_factor")
    return not any(getattr(each, name) for each in nested_optimizers(optimizer) for name in names)


@contextlib.contextmanager
def divided_by_weight(optimizer: keras.optimizers.Optimizer, weight: tf.Tensor) -> Iterator[None]:
    """Within this context an optimizer that is given sums of gradients steps by their mean.

    Args:
        optimizer: a Keras optimizer.
        weight: float32 scalar, by which the sums are to be divided. If gradients are accumulated, their sum is
            divided by the sum of the weights.
    """
    optimizer = innermost(optimizer)
    steps = optimizer.gradient_accumulation_steps or 1
    accumulated = getattr(optimizer, "accumulated_weight", None)
    total = weight if accumulated is None else accumulated + weight
    clip = keras_private.clip_gradients(optimizer)

    def clip_mean(gradients):
        # Keras has divided by the number of steps.
        if optimizer.global_clipnorm and keras_private.clips_as_keras(optimizer):
            return _clip_means(gradients, steps, total, optimizer.global_clipnorm)
        return clip([tf.math.divide_no_nan(g * steps, tf.cast(total, g.dtype)) for g in gradients])

    with contextlib.ExitStack() as stack:
        stack.enter_context(keras_private.replace_clipping(optimizer, clip_mean))
        if accumulated is not None:
            add, reset = lambda: accumulated.assign(total), lambda: accumulated.assign(0.0)
            stack.enter_context(keras_private.accumulation_observed(optimizer, add, reset))
        yield


def _divide(gradient, weight):
    if gradient is None:
        return None
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(_divide(gradient.values, weight), gradient.indices, gradient.dense_shape)
    return tf.math.divide_no_nan(gradient, tf.cast(weight, gradient.dtype))


def _needs_means(optimizer) -> bool:
    """Return whether an optimizer's own code reads gradients before `divided_by_weight` divides them."""
    inner = innermost(optimizer)
    if inner is not optimizer and type(optimizer).apply is not keras.optimizers.LossScaleOptimizer.apply:
        return True
    if inner.gradient_accumulation_steps and not hasattr(inner, "accumulated_weight"):
        return True  # it was not built before the first step
    return keras_private.reads_gradients_first(inner)


def _clip_means(gradients, steps, total, clip_norm):
    """Clip the means of sums by their global norm, as Keras does; zeros if `total` is zero.

    Averaging and clipping are fused into one multiplication, which saves two passes over large embedding gradients.
    """
    to_mean = steps / total
    norm = to_mean * tf.sqrt(tf.add_n([sum_of_squares(tf.cast(gradient, tf.float32)) for gradient in gradients]))
    clip = clip_norm * tf.minimum(1 / norm, 1 / clip_norm) + (norm - norm)  # NaN if the norm is infinite, as in Keras
    return [tf.where(total == 0, tf.zeros([], g.dtype), g * tf.cast(to_mean * clip, g.dtype)) for g in gradients]
