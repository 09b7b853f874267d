"""`MaskedConvolution`: a convolution over time, normalization and ReLU, which do not see masked steps."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfpar.layers.argument_types import Shape


@keras.saving.register_keras_serializable(package="tfpar")
class MaskedConvolution(keras.layers.Layer):
    """Convolution over time, layer normalization and ReLU.

    Masked steps are zeros for the convolution. The normalization is over the channels of a step, so an output depends
    neither on padding nor on the other rows of a batch, and training is equal on one replica and on several.

    Args:
        filters: number of output channels.
        kernel_size: steps that an output sees.
        strides: steps between two outputs.
        padding: "same", or "causal": no output sees later steps.
        seed: of the initial weights.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        series: float (batch, time, channels).
        mask: bool (batch, time), or None. With strides, an output is masked if its first step is.

    References:
        Wang et al. 2017, Time series classification from scratch with deep neural networks (with batch normalization).
    """

    def __init__(
        self, filters: int, kernel_size: int, strides: int = 1, padding: str = "same", seed: int = 0, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.filters, self.kernel_size, self.strides = filters, kernel_size, strides
        self.padding, self.seed = padding, seed
        self.convolution = keras.layers.Conv1D(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            kernel_initializer=keras.initializers.HeUniform(seed),
            dtype=self.dtype_policy,
            name="convolution",
        )
        self.normalization = keras.layers.LayerNormalization(dtype=self.dtype_policy, name="normalization")
        self.supports_masking = True

    def build(self, series_shape: Shape) -> None:
        self.convolution.build(series_shape)
        self.normalization.build(self.compute_output_shape(series_shape))

    def call(self, series: tf.Tensor, mask: tf.Tensor | None = None) -> tf.Tensor:
        if mask is not None:
            series = series * ops.cast(mask, series.dtype)[:, :, None]
        return ops.relu(self.normalization(self.convolution(series)))

    def compute_mask(self, series: Any, previous_mask: Any = None) -> Any:
        return None if previous_mask is None else previous_mask[:, :: self.strides]

    def compute_output_shape(self, series_shape: Shape) -> Shape:
        return self.convolution.compute_output_shape(series_shape)

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "kernel_size", "strides", "padding", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
