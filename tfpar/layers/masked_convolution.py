"""`MaskedConvolution`: a convolution over time, normalization and ReLU, which do not see masked steps."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfpar.checks import check_one_of
from tfpar.contexts import attributes_set
from tfpar.layers.argument_types import Shape
from tfpar.layers.batch_normalization import BatchNormalization
from tfpar.layers.step_layer import StepLayer, Tensors
from tfpar.layers.stock_steps import WindowStep

NORMALIZATIONS = {"layer": keras.layers.LayerNormalization, "batch": BatchNormalization}


@keras.saving.register_keras_serializable(package="tfpar")
class MaskedConvolution(StepLayer, keras.layers.Layer):
    """Convolution over time, normalization and ReLU.

    Masked steps are zeros for the convolution, and no part of the normalization's statistics.

    Args:
        filters: number of output channels.
        kernel_size: steps that an output sees.
        strides: steps between two outputs.
        padding: "same", or "causal": no output sees later steps. In a stream "same" has a latency, and needs strides of
            1.
        normalization: "layer": over the channels of each step; or "batch": of each channel, over the valid steps of the
            batches, see `tfpar.layers.BatchNormalization`.
        seed: of the initial weights.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        series: float (batch, time, channels).
        mask: bool (batch, time), or None. With strides, an output is masked if its first step is.

    References:
        Wang et al. 2017, Time series classification from scratch with deep neural networks: a strong baseline,
        arXiv:1611.06455 (with batch normalization).

    Raises:
        ValueError: `normalization` is another one.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        strides: int = 1,
        padding: str = "same",
        normalization: str = "layer",
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_one_of("normalization", normalization, tuple(NORMALIZATIONS))
        self._channels = 0  # of the input; known once the layer is built
        self.filters, self.kernel_size, self.strides = filters, kernel_size, strides
        self.padding, self.seed = padding, seed
        self.convolution = keras.layers.Conv1D(
            filters,
            kernel_size,
            strides=strides,
            padding=padding,
            use_bias=normalization == "layer",
            kernel_initializer=keras.initializers.HeUniform(seed),
            dtype=self.dtype_policy,
            name="convolution",
        )
        self.normalization = normalization
        self.normalize = NORMALIZATIONS[normalization](dtype=self.dtype_policy, name="normalization")
        self.supports_masking = True

    @property
    def step_obstacle(self) -> str | None:
        """The reason why the layer cannot process a stream, with the remedy; None if it can."""
        return self._steps().step_obstacle

    @property
    def latency(self) -> int:
        """Output steps by which `step` is behind the whole sequence."""
        return self._steps().latency

    @property
    def block_size(self) -> int:
        """Input steps for each output step."""
        return self.strides

    @property
    def state_names(self) -> tuple[str, ...]:
        """Suffixes of the names of the states in an exported file."""
        return self._steps().state_names

    def state_shapes(self) -> list[tuple[int, ...]]:
        return self._steps().state_shapes()

    def _steps(self) -> WindowStep:
        return WindowStep(self.convolution, self._channels)

    def build(self, series_shape: Shape) -> None:
        self._channels = series_shape[-1]
        self.convolution.build(series_shape)
        self.normalize.build(self.compute_output_shape(series_shape))

    def call(self, series: tf.Tensor, mask: tf.Tensor | None = None, training: bool | None = None) -> tf.Tensor:
        series = _zeros_if_masked(series, mask)
        is_uneven = self.padding == "same" and self.strides > 1
        convolved = self._convolve_evenly(series) if is_uneven else self.convolution(series)
        options = (
            {"training": training, "mask": self.compute_mask(series, mask)} if self.normalization == "batch" else {}
        )
        return ops.relu(self.normalize(convolved, **options))

    def _convolve_evenly(self, series):
        """Pad independently of the number of steps, as "same" does if it is a multiple of the strides."""
        before = max(self.kernel_size - self.strides, 0) // 2
        padded = ops.pad(series, [[0, 0], [before, self.kernel_size - 1 - before], [0, 0]])
        with attributes_set(self.convolution, {"padding": "valid"}):
            return self.convolution(padded)

    def step(self, sequences: tf.Tensor, states: Tensors, mask: tf.Tensor | None = None) -> tuple[Any, list[tf.Tensor]]:
        """Process the next steps of a stream; see `StepLayer`."""
        self.check_step(sequences)
        convolved, after = self._steps().step(_zeros_if_masked(sequences, mask), states)
        return ops.relu(self.normalize(convolved)), after

    def compute_mask(self, series: Any, previous_mask: Any = None) -> Any:
        return None if previous_mask is None else previous_mask[:, :: self.strides]

    def compute_output_shape(self, series_shape: Shape) -> Shape:
        return self.convolution.compute_output_shape(series_shape)

    def get_config(self) -> dict[str, Any]:
        names = ("filters", "kernel_size", "strides", "padding", "normalization", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _zeros_if_masked(series, mask):
    if mask is None:
        return series
    return ops.where(mask[:, :, None], series, ops.zeros_like(series))  # a product would be NaN where NaN is masked
