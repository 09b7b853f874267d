"""`Bidirectional`: a recurrent layer applied to a sequence in both directions."""

from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from tfpar.checks import check_one_of
from tfpar.layers.argument_types import Shape
from tfpar.layers.call_context import is_exporting_file
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.layers.recurrent.cells import COUNTERPARTS, convert_stock_layer
from tfpar.layers.recurrent.kernels.paired_loop import can_run_in_one_loop, run_in_one_loop

_MERGES = {
    "concat": lambda forward, backward: keras.ops.concatenate([forward, backward], axis=-1),
    "sum": keras.ops.add,
    "ave": lambda forward, backward: (forward + backward) / 2,
    "mul": keras.ops.multiply,
    None: lambda forward, backward: (forward, backward),
}


@keras.saving.register_keras_serializable(package="tfpar")
class Bidirectional(keras.layers.Layer):
    """A layer and its backward copy over the same sequences; a drop-in replacement for `keras.layers.Bidirectional`.

    With `return_sequences` outputs at masked steps are zeros, as in Keras.

    Args:
        layer: a recurrent layer of this package, or `keras.layers.LSTM`, `GRU` or `SimpleRNN`, which is converted to
            this package's layer. Its configuration is copied, not its weights.
        merge_mode: merge of the outputs (batch, [time,] units): "concat", "sum", "ave", "mul"; None returns both.
        weights: initial weights, the forward layer's first.
        backward_layer: such a layer of the other direction, or None for a copy of `layer`.
        **kwargs: see `keras.layers.Layer`.

    Call arguments:
        sequences, mask, training: as for the layer.
        initial_state: list of states, the forward layer's first.

    Raises:
        ValueError: an argument is no such layer, or the layers have the same direction, or different values of
            `return_sequences`, `return_state` or `stateful`.

    Example:

    >>> tuple(Bidirectional(LSTM(4))(np.ones((2, 5, 3), "float32")).shape)
    (2, 8)
    """

    def __init__(
        self,
        layer: RecurrentLayer | keras.layers.RNN,
        merge_mode: str | None = "concat",
        weights: Sequence[np.ndarray] | None = None,
        backward_layer: RecurrentLayer | keras.layers.RNN | None = None,
        **kwargs: Any,
    ):
        layer = _as_own_layer("layer", layer)
        backward_layer = None if backward_layer is None else _as_own_layer("backward_layer", backward_layer)
        check_one_of("merge_mode", merge_mode, tuple(_MERGES))
        super().__init__(**kwargs)
        self.forward_layer = _copy_layer(layer, "forward")
        self.backward_layer = backward_layer or _copy_layer(layer, "backward", go_backwards=not layer.go_backwards)
        self._check_pair()
        for directed in (self.forward_layer, self.backward_layer):
            directed.zero_output_for_mask = directed.return_sequences
            directed.reverses_outputs = self.forward_layer.go_backwards
        self.merge_mode = merge_mode
        self._initial_weights = weights
        self.supports_masking = True
        self.input_spec = layer.input_spec

    def _check_pair(self):
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                "Forward layer and backward layer should have different `go_backwards` value. Received: "
                f"go_backwards={forward.go_backwards} of both."
            )
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(forward, name) != getattr(backward, name):
                raise ValueError(
                    f'Forward layer and backward layer are expected to have the same value for attribute "{name}", got '
                    f'"{getattr(forward, name)}" for forward layer and "{getattr(backward, name)}" for backward layer'
                )

    @property
    def return_sequences(self) -> bool:
        """Whether outputs of all steps are returned."""
        return self.forward_layer.return_sequences

    @property
    def return_state(self) -> bool:
        """Whether the last states of both layers are returned after the output."""
        return self.forward_layer.return_state

    @property
    def stateful(self) -> bool:
        """Whether both layers carry their states from batch to batch."""
        return self.forward_layer.stateful

    @property
    def states(self) -> tuple[keras.Variable, ...] | None:
        """Carried states of both layers, or None."""
        forward, backward = self.forward_layer.states, self.backward_layer.states
        return (*forward, *backward) if forward and backward else None

    def explain(self) -> str:
        """Describe in one line the kernel that runs this layer, and the reason for it."""
        return self.forward_layer.explain()

    def build(self, sequences_shape: Shape, initial_state_shape: Any = None) -> None:
        for layer in (self.forward_layer, self.backward_layer):
            if not layer.built:
                layer.build(sequences_shape)
                layer.built = True
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)
            self._initial_weights = None

    def call(
        self,
        sequences: tf.Tensor,
        initial_state: Sequence[tf.Tensor] | None = None,
        mask: tf.Tensor | None = None,
        training: bool = False,
    ) -> tf.Tensor | tuple[tf.Tensor, ...]:
        initial = (None, None) if initial_state is None else _halves(initial_state)
        results = self._run_in_one_loop(sequences, initial, mask) if is_exporting_file() else None
        if results is None:
            pairs = zip((self.forward_layer, self.backward_layer), initial, strict=True)
            results = [layer(sequences, initial_state=state, mask=mask, training=training) for layer, state in pairs]
        forward, backward = results
        states = ()
        if self.return_state:
            (forward, *forward_states), (backward, *backward_states) = forward, backward
            states = (*forward_states, *backward_states)
        cast = [keras.ops.cast(output, self.compute_dtype) for output in (forward, backward)]
        merged = _MERGES[self.merge_mode](*cast)
        if not self.return_state:
            return merged
        return (*merged, *states) if self.merge_mode is None else (merged, *states)

    def _run_in_one_loop(self, sequences, initial, mask):
        """Return the outputs of both layers from one common loop, or None if they cannot run in one."""
        layers = (self.forward_layer, self.backward_layer)
        if any(layer.dtype_policy != self.dtype_policy for layer in layers):
            return None  # a layer casts its weights only when it is called itself
        pairs = zip(layers, initial, strict=True)
        choices, jobs = zip(*(layer.prepare(sequences, state, mask) for layer, state in pairs), strict=True)
        if not can_run_in_one_loop([choice.kernel for choice in choices], jobs):
            return None
        results = run_in_one_loop(jobs)
        return [layer.finish(result) for layer, result in zip(layers, results, strict=True)]

    def reset_state(self) -> None:
        """Set the carried states of both layers to zeros."""
        if not self.stateful:
            raise AttributeError("Layer must be stateful.")
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state  # the name in Keras 2

    def compute_mask(self, _: Any, previous_mask: Any) -> Any:
        mask = previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
        mask = mask if self.return_sequences else None
        outputs = (mask, mask) if self.merge_mode is None else (mask,)
        states = (None,) * (2 * len(self.forward_layer.state_size)) if self.return_state else ()
        return (*outputs, *states) if len(outputs) + len(states) > 1 else mask

    def compute_output_shape(self, sequences_shape: Shape, initial_state_shape: Any = None) -> Any:
        shape, states = self.forward_layer.compute_output_shape(sequences_shape), ()
        if self.return_state:
            shape, *states = shape
        if self.merge_mode == "concat":
            shape = (*shape[:-1], 2 * shape[-1])
        outputs = (shape, shape) if self.merge_mode is None else (shape,)
        return (*outputs, *states, *states) if len(outputs) + len(states) > 1 else shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": keras.saving.serialize_keras_object(self.forward_layer),
            "backward_layer": keras.saving.serialize_keras_object(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        config = dict(config)
        for name in ("layer", "backward_layer"):
            config[name] = keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
        return cls(**config)


def _halves(states: Sequence[tf.Tensor]) -> tuple[Sequence[tf.Tensor], Sequence[tf.Tensor]]:
    half = len(states) // 2
    return states[:half], states[half:]


def _as_own_layer(name: str, layer: object) -> RecurrentLayer:
    """Return a recurrent layer of this package, or convert a stock one."""
    if type(layer) in COUNTERPARTS:
        return convert_stock_layer(layer)
    if not isinstance(layer, RecurrentLayer):
        raise ValueError(
            f"Please initialize `Bidirectional` layer with a `{name}` that is a recurrent layer of tfpar, or "
            f"keras.layers.LSTM, GRU or SimpleRNN. For another layer use keras.layers.Bidirectional. "
            f"Received: {layer!r}"
        )
    return layer


def _copy_layer(layer: RecurrentLayer, direction: str, **changes: Any) -> RecurrentLayer:
    """Make a layer of the same configuration, named after its direction."""
    name = layer.name.removeprefix(f"{direction}_")
    return type(layer).from_config({**layer.get_config(), "name": f"{direction}_{name}", **changes})
