"""Steps of stock Keras layers: convolution, pooling and layers that compute each step by itself.

| stock layer | processes streams with | not with |
|---|---|---|
| `Conv1D` | padding "causal"; "valid", or "same" without strides, late | "same" with strides |
| `DepthwiseConv1D`, `SeparableConv1D` | padding "valid", or "same" without strides, late | "same" with strides |
| `AveragePooling1D`, `MaxPooling1D` | padding "valid"; no latency if `strides` equals `pool_size` | "same" |
| `GlobalAveragePooling1D`, `GlobalMaxPooling1D` | a result over all steps so far | `keepdims` |
| `LayerNormalization`, `UnitNormalization`, `Softmax` | the last axis | time |
| `BatchNormalization` | moving statistics of the last axis | time |
| `Dense`, activations, dropout, `Rescaling` | all arguments | |
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfpar.contexts import attributes_set
from tfpar.layers.batch_normalization import BatchNormalization
from tfpar.layers.pooling import MaxPooling, MeanPooling
from tfpar.layers.step_layer import StepLayer, Tensors, append_to_history

# Layers that compute each number of their input by itself, but for the random numbers of training.
POINTWISE = (
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.LeakyReLU,
    keras.layers.ReLU,
    keras.layers.Rescaling,
    keras.layers.SpatialDropout1D,
)
_NORMALIZATIONS = (
    BatchNormalization,
    keras.layers.BatchNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Softmax,
    keras.layers.UnitNormalization,
)
_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.DepthwiseConv1D, keras.layers.SeparableConv1D)
_POOLINGS = (keras.layers.AveragePooling1D, keras.layers.MaxPooling1D)
_GLOBAL_POOLINGS = {keras.layers.GlobalAveragePooling1D: MeanPooling, keras.layers.GlobalMaxPooling1D: MaxPooling}


class StockStep(StepLayer):
    """Steps of a built stock layer whose output at a step depends on that step only.

    Args:
        layer: the stock layer; it does not change.
        features: size of the last axis of its input.
    """

    def __init__(self, layer: keras.layers.Layer, features: int):
        self.layer, self.features = layer, features
        self.name, self.compute_dtype = layer.name, layer.compute_dtype

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the outputs of whole sequences."""
        return self.layer(*args, **kwargs)


class NormalizationStep(StockStep):
    """Steps of a stock normalization."""

    @property
    def step_obstacle(self) -> str | None:
        """The reason why the layer cannot process a stream, or None."""
        axes = {axis % 3 for axis in keras.tree.flatten(self.layer.axis)}
        return None if axes == {2} else "it normalizes over time, of which a stream has no end. Use axis=-1"


class WindowStep(StockStep):
    """Steps of a stock convolution or pooling over time, with the last inputs as state.

    Causal padding is zeros before the first step, as is the initial state. Other windows end later, so that outputs
    have a latency.
    """

    def __init__(self, layer: keras.layers.Layer, features: int):
        super().__init__(layer, features)
        (self._strides,) = layer.strides
        is_pooling = isinstance(layer, _POOLINGS)
        (window,) = layer.pool_size if is_pooling else layer.kernel_size
        (dilation,) = (1,) if is_pooling else layer.dilation_rate
        self.history = (window - 1) * dilation
        if layer.padding == "valid":
            self.history = max(self.history + 1 - self._strides, 0)

    @property
    def block_size(self) -> int:
        """Input steps for each output step."""
        return self._strides

    @property
    def state_names(self) -> tuple[str, ...]:
        """Suffixes of the names of the states in an exported file."""
        return ("history",) if self.history else ()

    @property
    def latency(self) -> int:
        """Output steps by which `step` is behind the whole sequence."""
        return {
            "causal": 0,
            "same": self.history - self.history // 2,
            "valid": self.history // self.block_size,
        }[self.layer.padding]

    @property
    def step_obstacle(self) -> str | None:
        """The reason why the layer cannot process a stream, with the remedy; None if it can."""
        padding, is_pooling = self.layer.padding, isinstance(self.layer, _POOLINGS)
        if self.layer.data_format != "channels_last":
            return "time is its last axis. Use data_format='channels_last'"
        if padding == "same" and (self.block_size > 1 or is_pooling):
            return f"the windows of padding='same' depend on the length of the sequence. Use {self.remedy}"
        if padding == "valid" and self.history % self.block_size:
            return f"its windows end within a block of {self.block_size} steps. Use {self.remedy}"
        return None

    @property
    def remedy(self) -> str:
        """What to use instead, without latency."""
        if isinstance(self.layer, _POOLINGS):
            return "tfpar.layers.CausalMaxPooling or CausalMeanPooling"
        return "padding='causal'" if isinstance(self.layer, keras.layers.Conv1D) else "Conv1D with padding='causal'"

    def state_shapes(self) -> list[tuple[int, ...]]:
        """Return (previous steps, features)."""
        return [(self.history, self.features)] if self.history else []

    def step(self, sequences: tf.Tensor, states: Tensors, mask: tf.Tensor | None = None) -> tuple[Any, list[tf.Tensor]]:
        """Process the next steps of a stream; see `StepLayer`."""
        del mask
        self.check_step(sequences)
        after = list(states)
        if self.history:
            sequences, after[0] = append_to_history(states[0], sequences)
        with attributes_set(self.layer, {"padding": "valid"}):
            return self.layer(sequences), after


class GlobalPoolingStep(StockStep):
    """Steps of a stock global pooling, by this package's."""

    def __init__(self, layer: keras.layers.Layer, features: int):
        super().__init__(layer, features)
        self._ours = _GLOBAL_POOLINGS[type(layer)](dtype=layer.dtype_policy)
        self._ours.build((None, None, features))

    @property
    def state_names(self) -> tuple[str, ...]:
        """Suffixes of the names of the states in an exported file."""
        return self._ours.state_names

    @property
    def step_obstacle(self) -> str | None:
        """The reason why the layer cannot process a stream, or None."""
        if self.layer.data_format != "channels_last":
            return "time is its last axis. Use data_format='channels_last'"
        return "keepdims=True makes a step of all steps. Use keepdims=False" if self.layer.keepdims else None

    def state_shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of the states of this package's pooling."""
        return self._ours.state_shapes()

    def step(self, sequences: tf.Tensor, states: Tensors, mask: tf.Tensor | None = None) -> tuple[Any, list[tf.Tensor]]:
        """Process the next steps of a stream; see `StepLayer`."""
        self.check_step(sequences)
        return self._ours.step(sequences, states, mask)


def find_step(layer: keras.layers.Layer, input_shape: Sequence[int | None]) -> Any:
    """Return the object that processes streams for a layer.

    Args:
        layer: a built layer.
        input_shape: of its input.

    Returns:
        The layer itself if it has `supports_step`; the steps of a stock layer over (batch, time, features); or None.
    """
    if hasattr(layer, "supports_step"):
        return layer
    kind = _KINDS.get(type(layer))
    features = input_shape[-1] if len(input_shape) == 3 else None
    return None if kind is None or features is None else kind(layer, features)


_KINDS: dict[type, type[StockStep]] = {
    **dict.fromkeys((*POINTWISE, keras.layers.Dense), StockStep),
    **dict.fromkeys(_NORMALIZATIONS, NormalizationStep),
    **dict.fromkeys((*_CONVOLUTIONS, *_POOLINGS), WindowStep),
    **dict.fromkeys(_GLOBAL_POOLINGS, GlobalPoolingStep),
}
