"""A model as a stream: its layers' states by name, and calls of the model on some steps with given states."""

import contextlib
import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tfpar.contexts import attributes_set
from tfpar.errors import UserError
from tfpar.export.conversion.serving import ServingModel
from tfpar.keras_private import flatten_layers, inbound_nodes
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.layers.recurrent.streaming import make_identifier, state_sizes, streamed
from tfpar.layers.step_layer import StepLayer
from tfpar.layers.stock_steps import find_step

Tensors = dict[str, tf.Tensor]

_REMEDY = "padding='causal'"


class _Streamed(NamedTuple):
    """A layer, the object with its method `step`, and the names of its states."""

    layer: keras.layers.Layer
    steps: Any
    names: list[str]


class ModelStream:
    """The states and steps of a model's layers.

    Recurrent layers get their states from `streamed`. A layer with the method `step` is called by it, and so are stock
    layers of `tfpar.layers.stock_steps`. Other layers are called on the steps, as if they computed each by itself;
    whoever makes a stream compares it with the model.

    Args:
        model: the model.

    Attributes:
        state_shapes: shapes of the states without the batch, by name: "LAYER_h", "LAYER_history", ...
        block_size: steps of the model's input for each step of its slowest layer; a step of the stream takes as many.

    Raises:
        UserError: a layer cannot process a stream, or only with a latency.
    """

    def __init__(self, model: ServingModel):
        self._layers = [entry for layer in _outer_layers(model) if (entry := _find(layer))]
        self.block_size = math.prod(getattr(entry.steps, "block_size", 1) for entry in self._layers)
        self.state_shapes: dict[str, tuple[int, ...]] = {}
        try:
            for layer in model.recurrent_layers:
                self._add({name: (units,) for name, units in state_sizes(layer).items()})
        except ValueError as error:
            raise UserError(str(error)) from error
        for entry in self._layers:
            states = entry.steps.get_initial_state(1)
            if any(np.any(state) for state in states):
                raise UserError(f"{entry.layer.name} has an initial state other than zeros, with which a stream starts")
            self._add(dict(zip(entry.names, [tuple(state.shape[1:]) for state in states], strict=True)))

    def _add(self, shapes):
        for name in shapes:
            if name in self.state_shapes:
                raise UserError(f"two layers have a state {name!r} in the stream. Give them different names")
        self.state_shapes |= shapes

    def call(self, call: Callable[[], Tensors], states: Tensors) -> Tensors:
        """Call the model on the next steps.

        Args:
            call: function that calls the model and returns its outputs by name.
            states: by name.

        Returns:
            Outputs and new states, by name.
        """
        after: dict[str, list[tf.Tensor]] = {}
        with streamed(states) as streams, self._layers_called_by_step(states, after):
            outputs = call()
        for name, calls in after.items():
            if len(calls) > 1:
                raise UserError(f"a layer is called twice, and has one state {name!r} in the stream. Use two layers")
        final = {**streams.final, **{name: state for name, (state,) in after.items()}}
        return {**outputs, **{name: final[name] for name in self.state_shapes}}

    @contextlib.contextmanager
    def _layers_called_by_step(self, states: Tensors, after: dict[str, list[tf.Tensor]]) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for entry in self._layers:
                stack.enter_context(attributes_set(entry.layer, {"call": _make_call(entry, states, after)}))
            yield


def _make_call(entry, states, after):
    """Make a `call` of a layer that takes its states from `states` and writes them to `after`."""
    ordinary_call = entry.layer.call
    takes_mask = "mask" in inspect.signature(entry.steps.step).parameters

    def call(sequences, mask=None, **_):
        keywords = {"mask": mask} if takes_mask and mask is not None else {}
        with attributes_set(entry.layer, {"call": ordinary_call}):  # `step` may call the layer
            outputs, new = entry.steps.step(sequences, [states[name] for name in entry.names], **keywords)
        for name, state in zip(entry.names, new, strict=True):
            after.setdefault(name, []).append(state)
        return outputs

    return call


def _outer_layers(model: ServingModel) -> list[keras.layers.Layer]:
    """List the layers that are not within a layer with its own method `step`."""
    layers = [layer for layer in model.layers if not isinstance(layer, RecurrentLayer)]
    inner = {
        id(child)
        for layer in layers
        if hasattr(layer, "supports_step")
        for child in flatten_layers(layer, include_self=False)
    }
    return [layer for layer in layers if id(layer) not in inner]


def _find(layer) -> _Streamed | None:
    """Return how a layer processes a stream; None if it is called on the steps as it is."""
    steps = find_step(layer, _input_shape(layer))
    if steps is None:
        return None
    if not steps.supports_step:
        obstacle = getattr(steps, "step_obstacle", None) or "its supports_step is False. Stream a model without it"
        raise UserError(f"the layer {layer.name!r} cannot process a stream: {obstacle}")
    if getattr(steps, "latency", 0):
        raise UserError(
            f"the layer {layer.name!r} sees later steps, so its outputs in a stream are {steps.latency} step(s) late, "
            f"and later layers would see steps before the first. Use {getattr(steps, 'remedy', _REMEDY)}"
        )
    if type(steps).step is StepLayer.step:
        return None
    count = len(steps.get_initial_state(1))
    suffixes = getattr(steps, "state_names", None) or [str(number) for number in range(count)]
    return _Streamed(layer, steps, [f"{make_identifier(layer.name)}_{suffix}" for suffix in suffixes])


def _input_shape(layer) -> tuple[int | None, ...]:
    """Return the shape of a layer's first input; () if that is not known."""
    tensors = [tensor for node in inbound_nodes(layer)[:1] for tensor in node.input_tensors[:1]]
    return tuple(tensors[0].shape) if tensors else ()
