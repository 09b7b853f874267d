"""`CompetingConvolutions`: untrained convolutions of many dilations, pooled by which kernel fits best at each step."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfpar.checks import check_positive_integer
from tfpar.layers.argument_types import Shape

KERNEL_SIZE = 9
_MOST_CHANNELS = 8  # that a kernel sees
_SCALE = 10.0  # of the features together: by it they differ by about 1 between examples


@keras.saving.register_keras_serializable(package="tfpar")
class CompetingConvolutions(keras.layers.Layer):
    """Features of a series from groups of random convolutions that compete with each other (Hydra).

    The series and its differences are convolved with kernels of 9 steps and of all dilations of powers of two that fit
    in. At each step the kernel with the largest output of its group wins, and the one with the smallest output loses.
    The features of each kernel are the square roots of the mean over the valid steps of

    - its output where it wins, 0 elsewhere;
    - 1 where it loses, 0 elsewhere.

    Kernels are drawn once, saved as weights and not trained, so a linear layer over the features trains fast on few
    examples. In an int8 file the layer computes in float32: outputs that are rounded would be equal.

    Args:
        groups: number of groups, for the series and for its differences each, of each dilation.
        kernels: kernels of a group.
        channels: number of channels that are seen, the first ones; None: all.
        seed: of the kernels.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        series: float (batch, time, channels), standardized; time is static.
        mask: bool (batch, time), or None.

    Returns:
        float (batch, dilations * 4 * groups * kernels), without a gradient.

    References:
        Dempster et al. 2023, Hydra: competing convolutional kernels for fast and accurate time series classification,
        arXiv:2203.13652; but kernels keep their mean, so that levels are features, too.

    Example:

    >>> tuple(CompetingConvolutions(groups=2, kernels=4)(np.ones((3, 20, 1), "float32")).shape)
    (3, 64)
    """

    keep_float32 = True

    def __init__(self, groups: int = 16, kernels: int = 8, channels: int | None = None, seed: int = 0, **kwargs: Any):
        super().__init__(**kwargs)
        self.groups = check_positive_integer("groups", groups)
        self.kernels = check_positive_integer("kernels", kernels)
        self.channels = channels if channels is None else check_positive_integer("channels", channels)
        self.seed = seed
        self.supports_masking = True

    def build(self, series_shape: Shape) -> None:
        generator = np.random.default_rng(self.seed)
        channels = self.channels or series_shape[-1]
        shape = (KERNEL_SIZE, channels, self.groups * self.kernels)
        self._weights_of = [
            tuple(
                self.add_weight(
                    name=f"{name}_kernels_{dilation}",
                    shape=shape,
                    initializer=_constant(self._draw_kernels(generator, channels)),
                    trainable=False,
                )
                for name in ("series", "difference")
            )
            for dilation in _dilations(series_shape[1])
        ]

    def _draw_kernels(self, generator, channels) -> np.ndarray:
        """Draw kernels (KERNEL_SIZE, channels, groups * kernels) of absolute sum 1; those of a group see equal ones."""
        is_seen = np.zeros((self.groups, channels), bool)
        for row in is_seen:
            row[generator.choice(channels, generator.integers(1, min(channels, _MOST_CHANNELS) + 1), False)] = True
        drawn = generator.normal(size=(KERNEL_SIZE, channels, self.groups, self.kernels))
        drawn *= is_seen.T[None, :, :, None]
        return (drawn / np.abs(drawn).sum(axis=(0, 1))).reshape(KERNEL_SIZE, channels, -1).astype(np.float32)

    def call(self, series: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        if mask is None:
            mask = ops.ones(ops.shape(series)[:2], "bool")
        valid = ops.cast(mask, series.dtype)[:, :, None]
        series = series[..., : self.channels] * valid
        differences = ops.pad(series[:, 1:] - series[:, :-1], ((0, 0), (1, 0), (0, 0))) * valid
        features = []
        for dilation, weights in zip(_dilations(series.shape[1]), self._weights_of, strict=True):
            for x, kernels in zip((series, differences), weights, strict=True):
                outputs = ops.conv(x, ops.cast(kernels, x.dtype), padding="same", dilation_rate=dilation)
                features += self._compete(outputs, valid)
        joined = ops.concatenate(features, axis=-1)
        return ops.stop_gradient(joined) * (_SCALE / math.sqrt(joined.shape[-1]))

    def _compete(self, outputs, valid):
        """Return two features of each kernel: (batch, groups * kernels) each."""
        grouped = ops.reshape(outputs, (-1, outputs.shape[1], self.groups, self.kernels))
        wins = ops.relu(grouped) * ops.cast(grouped >= ops.max(grouped, axis=-1, keepdims=True), grouped.dtype)
        losses = ops.cast(grouped <= ops.min(grouped, axis=-1, keepdims=True), grouped.dtype)
        count = ops.maximum(ops.sum(valid, axis=1), 1)
        size = self.groups * self.kernels
        flat = (ops.reshape(one, (-1, outputs.shape[1], size)) * valid for one in (wins, losses))
        return [ops.sqrt(ops.sum(one, axis=1) / count) for one in flat]

    def compute_mask(self, _: Any, previous_mask: Any = None) -> Any:
        return None

    def compute_output_shape(self, series_shape: Shape) -> Shape:
        return series_shape[0], 4 * len(_dilations(series_shape[1])) * self.groups * self.kernels

    def get_config(self) -> dict[str, Any]:
        names = ("groups", "kernels", "channels", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _dilations(steps: int | None) -> list[int]:
    """Return the powers of two by which a kernel is no longer than the series; at least 1."""
    if steps is None:
        raise ValueError("`series` must have a static number of steps; got None.")
    return [2**power for power in range(max(1, int(math.log2(max(1, (steps - 1) / (KERNEL_SIZE - 1)))) + 1))]


def _constant(value):
    return lambda shape, dtype=None: ops.cast(value, dtype)
