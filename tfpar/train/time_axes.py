"""Finds which inputs and outputs of a model have its time axis, and refuses layers that look across time steps.

Strategy "sequence" gives each replica a slice of the time axis, so a layer must compute each step alone, or be a
recurrent layer of this package. Layers are allowed by their exact class: a subclass may look anywhere.
"""

from typing import Any, NamedTuple

import keras
import numpy as np

from tfpar import keras_private
from tfpar.layers.dropout import Dropout, TokenDropout
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.layers.recurrent.bidirectional import Bidirectional
from tfpar.layers.stock_steps import POINTWISE

_TIME = 1  # the axis

# Layers that map tokens (batch, time) step by step; their inputs have the time axis whatever the rank.
_OF_TOKENS = (keras.layers.Embedding, TokenDropout)

_POINTWISE = (*POINTWISE, keras.layers.AlphaDropout, Dropout)

# Layers that read the last axis of each step.
_OVER_FEATURES = (keras.layers.Dense, keras.layers.Masking)

# Layers that read the axes in their attribute `axis`.
_OVER_AXES = (
    keras.layers.Concatenate,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
    keras.layers.RMSNormalization,
    keras.layers.Softmax,
    keras.layers.UnitNormalization,
)

_MERGES = (
    keras.layers.Add,
    keras.layers.Average,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Multiply,
    keras.layers.Subtract,
)

_REMEDY = "Use strategy 'mirrored' or 'multiworker', which divide the rows of a batch"

_REMEDIES: dict[type, str] = {
    keras.layers.BatchNormalization: "Use LayerNormalization",
    keras.layers.GroupNormalization: "Use LayerNormalization",
    keras.layers.Flatten: "Take the last output of a recurrent layer (return_sequences=False)",
    keras.layers.GlobalAveragePooling1D: "Take the last output of a recurrent layer (return_sequences=False)",
    keras.layers.GlobalMaxPooling1D: "Take the last output of a recurrent layer (return_sequences=False)",
    keras.layers.LSTM: "Use tfpar.layers.LSTM",
    keras.layers.GRU: "Use tfpar.layers.GRU",
    keras.layers.SimpleRNN: "Use tfpar.layers.SimpleRNN",
    keras.layers.Bidirectional: "Use tfpar.layers.Bidirectional",
}


class TimeAxes(NamedTuple):
    """Which tensors of a model have the time axis.

    Attributes:
        inputs: for each input, flattened.
        outputs: nest of booleans, in the structure of the outputs.
        input_names, output_names: of the model's flattened inputs and outputs.
        random_layers: layers of Keras with a seed, each with whether it draws numbers for each step.
        step_loops: layers that fail without a step.
    """

    inputs: list[bool]
    outputs: Any
    input_names: list[str]
    output_names: list[str]
    random_layers: list[tuple[keras.layers.Layer, bool]]
    step_loops: list[keras.layers.Layer]


def find_time_axes(model: keras.Model) -> TimeAxes:
    """Find the inputs and outputs of a model that have the time axis.

    Inputs have it if they have three axes or more, or are token ids, or a mask of a recurrent layer.

    Args:
        model: functional or sequential, built.

    Raises:
        ValueError: the model is subclassed, or a layer looks across time steps; names the layer.
    """
    graph = _functional_graph(model)
    demanded = _tensors_with_time(graph)
    flags = [len(tensor.shape) > 2 or id(tensor) in demanded for tensor in graph.inputs]
    if not any(flags):
        raise ValueError(
            "Strategy 'sequence' divides the time axis, but no input of the model has one; got shapes "
            f"{[tuple(tensor.shape) for tensor in graph.inputs]}. {_REMEDY}."
        )
    of_tensors = _Trace(graph, flags)
    structure = keras_private.outputs_structure(graph)
    outputs = keras.tree.map_structure(of_tensors.has_time, structure)
    given = graph.input  # the inputs in their structure
    input_names = sorted(given) if isinstance(given, dict) else [tensor.name for tensor in graph.inputs]
    of_layers = _random_layers(of_tensors), of_tensors.step_loops
    return TimeAxes(flags, outputs, input_names, list(graph.output_names), *of_layers)


def _functional_graph(model):
    """Return the functional model that a model is or wraps."""
    graph = keras_private.functional_graph(model)
    if graph is None:
        raise ValueError(
            "Strategy 'sequence' needs a functional or sequential model, of which it knows which layers read the time "
            f"axis; got the subclassed {type(model).__name__}. {_REMEDY}."
        )
    return graph


def _tensors_with_time(graph) -> set[int]:
    """Return the ids of tensors of two axes that layers read as (batch, time)."""
    found: set[int] = set()
    for operation, node in keras_private.calls(graph):
        if type(operation) in _OF_TOKENS:
            found.update(id(tensor) for tensor in node.input_tensors)
        elif isinstance(operation, (RecurrentLayer, Bidirectional)):
            found.add(id(node.arguments.kwargs.get("mask")))
        elif (inner := keras_private.functional_graph(operation)) is not None:
            inner_found = _tensors_with_time(inner)
            pairs = zip(inner.inputs, node.input_tensors, strict=True)
            found.update(id(outer) for own, outer in pairs if id(own) in inner_found)
    return found


def _random_layers(trace: "_Trace") -> list[tuple[keras.layers.Layer, bool]]:
    """Return each random layer once; refuse those that draw numbers for steps and others."""
    found: dict[int, tuple[keras.layers.Layer, bool]] = {}
    for layer, is_of_steps in trace.random_calls:
        if found.setdefault(id(layer), (layer, is_of_steps))[1] != is_of_steps:
            _refuse(layer, "is called with and without the time axis", "Use two layers")
    return list(found.values())


class _Trace:
    """Follows the time axis through the calls of a functional model, from its inputs on.

    Attributes:
        random_calls: for each call of a layer of Keras with a seed, the layer, and whether it draws for each step.
        step_loops: see `TimeAxes`.
    """

    def __init__(self, graph, flags):
        self.random_calls: list[tuple[keras.layers.Layer, bool]] = []
        self.step_loops: list[keras.layers.Layer] = []
        self._has_time = {id(tensor): flag for tensor, flag in zip(graph.inputs, flags, strict=True)}
        for operation, node in keras_private.calls(graph):
            if id(node.output_tensors[0]) not in self._has_time:
                outputs = self._follow(operation, node)
                self._has_time.update(zip(map(id, node.output_tensors), outputs, strict=True))

    def has_time(self, tensor: keras.KerasTensor) -> bool:
        """Return whether a tensor of the model has the time axis."""
        return self._has_time[id(tensor)]

    def _follow(self, operation, node) -> list[bool]:
        """Return which outputs of a call have the time axis; raise ValueError if it may look across steps."""
        flags = [self._has_time[id(tensor)] for tensor in node.input_tensors]
        inner = keras_private.functional_graph(operation)
        if inner is not None:
            trace = _Trace(inner, flags)
            self.random_calls += trace.random_calls
            self.step_loops += trace.step_loops
            return [trace.has_time(tensor) for tensor in inner.outputs]
        if isinstance(operation, (RecurrentLayer, Bidirectional)):
            return self._follow_recurrent(operation, node)
        if type(operation).__module__.startswith("keras.") and hasattr(operation, "seed_generator"):
            self.random_calls.append((operation, any(flags) and not _is_shared_by_steps(operation)))
        if not any(flags):
            if any(len(tensor.shape) > 2 for tensor in node.output_tensors):
                _refuse(operation, "makes an axis that may be taken for the time axis")
            return [False] * len(node.output_tensors)
        if not all(flags):
            _refuse(operation, "combines a tensor with the time axis and one without")
        if type(operation) is keras.layers.TimeDistributed:
            _check_step_layer(operation)
            self.step_loops.append(operation)
        else:
            _check_is_pointwise(operation, node)
        return [True] * len(node.output_tensors)

    def _follow_recurrent(self, layer, node):
        sequences, *states = node.arguments.args
        states = keras.tree.flatten([states, node.arguments.kwargs.get("initial_state")])
        if not self._has_time[id(sequences)]:
            _refuse(layer, "is given a sequence that is not of the time axis of the inputs")
        if any(self._has_time.get(id(state), False) for state in states):
            _refuse(layer, "is given initial states with a time axis")
        directed = layer.forward_layer if isinstance(layer, Bidirectional) else layer
        if directed.return_sequences and directed.go_backwards and directed.reverses_outputs:
            _refuse(layer, "reverses the order of time (go_backwards)", "Use tfpar.layers.Bidirectional")
        _check_no_activity(layer)
        return [len(tensor.shape) > 2 for tensor in node.output_tensors]


def _check_step_layer(wrapper: keras.layers.TimeDistributed) -> None:
    """Refuse a layer that is called for each step unless it computes each step alone."""
    for layer in (wrapper, *keras_private.flatten_layers(wrapper.layer)):
        _check_no_activity(layer)
        if isinstance(layer, (RecurrentLayer, Bidirectional)):
            _refuse(layer, "runs within each step of the time axis", "Use a recurrent layer of keras.layers there")
        if hasattr(layer, "seed_generator"):
            _refuse(layer, "draws random numbers within TimeDistributed", "Call it on the whole sequences")
        if layer.trainable and layer is not wrapper and layer.non_trainable_variables and not hasattr(layer, "adapt"):
            _refuse(layer, "has variables that each step of the time axis updates", _REMEDIES.get(type(layer)))


def _check_is_pointwise(operation, node) -> None:
    """Refuse a call unless it computes each step alone."""
    _check_no_activity(operation)
    _check_noise_shape(operation, node)
    _check_constants(operation, node)
    _check_activation(operation, node)
    kind, ranks = type(operation), {len(tensor.shape) for tensor in node.input_tensors}
    is_over_features = min(ranks) > 2 and kind in _POINTWISE + _OVER_FEATURES
    is_merge = len(ranks) == 1 and (kind in _MERGES or keras_private.operation_scope(operation) == "elements")
    if not (kind in _OF_TOKENS or is_over_features or is_merge or _is_over_other_axes(operation, node)):
        _refuse(operation, "may look across time steps")


def _check_noise_shape(operation, node) -> None:
    """Refuse a mask of a fixed number of steps."""
    shape = getattr(operation, "noise_shape", None)
    if shape is not None and (len(shape) != len(node.input_tensors[0].shape) or shape[_TIME] not in (None, 1)):
        remedy = "Use a `noise_shape` of all axes, with None or 1 for the time axis"
        _refuse(operation, f"has the noise_shape {shape} for a fixed time axis", remedy)


def _check_constants(operation, node) -> None:
    """Refuse arrays with a time axis, of which a replica would need its slice."""
    rank = max(len(tensor.shape) for tensor in node.output_tensors)
    for leaf in keras.tree.flatten([node.arguments.args, node.arguments.kwargs]):
        shape = () if isinstance(leaf, keras.KerasTensor) else getattr(leaf, "shape", ())
        time = _TIME - (rank - len(shape))  # arrays are broadcast from the last axis on
        if 0 <= time < len(shape) and shape[time] != 1:
            remedy = "Make it an input of the model, with the time axis of the sequences"
            _refuse(operation, f"takes a constant {tuple(shape)} with a time axis", remedy)


def _check_activation(operation, node) -> None:
    """Refuse a function of a user as an activation unless it computes each step alone, on random numbers."""
    activation = getattr(operation, "activation", None)
    if activation is None or getattr(activation, "__module__", "").startswith("keras."):
        return
    features = node.output_tensors[0].shape[-1] or 4
    values = np.random.default_rng(0).normal(size=(2, 5, features)).astype("float32")
    try:
        whole = np.asarray(activation(values))
        steps = [np.asarray(activation(values[:, step : step + 1])) for step in range(values.shape[_TIME])]
        is_alone = np.allclose(whole, np.concatenate(steps, axis=_TIME), rtol=1e-4, atol=1e-6)
    except Exception:
        is_alone = False
    if not is_alone:
        _refuse(operation, f"applies {getattr(activation, '__name__', activation)!r} across the time axis")


def _is_shared_by_steps(layer) -> bool:
    """Return whether a random layer draws the same numbers for all steps."""
    shape = getattr(layer, "noise_shape", None)
    return type(layer) is keras.layers.SpatialDropout1D or (shape is not None and shape[_TIME : _TIME + 1] == (1,))


def _is_over_other_axes(operation, node) -> bool:
    """Return whether a call reads single axes, which are not that of time."""
    if type(operation) not in _OVER_AXES and keras_private.operation_scope(operation) != "axis":
        return False
    rank = max(len(tensor.shape) for tensor in (*node.input_tensors, *node.output_tensors))
    return not {0, _TIME}.intersection(_axes(operation, rank))


def _axes(operation, rank) -> list[int]:
    """Return the axes that an operation names, from 0 on."""
    axes = operation.axis if isinstance(operation.axis, (list, tuple)) else [operation.axis]
    return [_TIME if axis is None else axis % rank for axis in axes]


def _check_no_activity(operation) -> None:
    if getattr(operation, "activity_regularizer", None) is not None:
        _refuse(operation, "has an activity_regularizer, which sums over the time axis", "Use kernel_regularizer")


def _refuse(operation, reason: str, remedy: str | None = None) -> None:
    raise ValueError(
        f"The layer {operation.name!r} ({type(operation).__name__}) {reason}, which strategy 'sequence' divides over "
        f"replicas. {remedy or _REMEDIES.get(type(operation), _REMEDY)}."
    )
