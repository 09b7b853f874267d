"""A Keras model prepared for export: named inputs and outputs, computed by inference kernels."""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfpar.contexts import attributes_set
from tfpar.errors import UserError
from tfpar.export.conversion.counterparts import counterpart, using_counterparts
from tfpar.export.conversion.stable_operations import stable_operations
from tfpar.keras_private import (
    Functional,
    build_shapes,
    flatten_layers,
    has_functional_graph,
    inbound_nodes,
    outputs_structure,
    producing_call,
)
from tfpar.layers.call_context import exporting
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.layers.recurrent.streaming import make_identifier

_SCOPE_NAME = re.compile("[A-Za-z0-9.][A-Za-z0-9_.\\\\/>-]*")


class ServingModel:
    """A Keras model with named inputs and outputs.

    Stock recurrent layers are computed by this package's kernels, with their own weights, while a function is traced;
    the model itself is not changed.

    Args:
        model: functional, sequential or subclassed, built. Several outputs of one layer are numbered, and names that
            TensorFlow or C reject are replaced.

    Attributes:
        original: the model.
        functional: the model, or a functional model around it.
        input_names, output_names: in the order of `functional.inputs` and `functional.outputs`.
        renamed: {"inputs", "outputs"}: the model's own name by each name that differs from it.

    Raises:
        UserError: the model is not built, or its inputs are not known.
    """

    def __init__(self, model: keras.Model):
        self.original = model
        self.functional = _make_functional(model)
        inputs, outputs = [t.name for t in self.functional.inputs], _keras_output_names(self.functional)
        self.input_names, self.output_names = _legal_names(inputs), _legal_names(outputs)
        self.renamed = {
            kind: {new: old for new, old in zip(names, former, strict=True) if new != old}
            for kind, names, former in (
                ("inputs", self.input_names, inputs),
                ("outputs", self.output_names, outputs),
            )
        }
        self._counterparts = _pair_with_counterparts(self.layers)
        self._traced: dict = {}  # calls of the original model, by the shapes of its inputs

    @property
    def name(self) -> str:
        """The model's name."""
        return self.original.name

    @property
    def inputs(self) -> list[keras.KerasTensor]:
        """Symbolic inputs, in order."""
        return self.functional.inputs

    @property
    def layers(self) -> list[keras.layers.Layer]:
        """All layers, including those within other layers."""
        return flatten_layers(self.functional)

    @property
    def recurrent_layers(self) -> list[RecurrentLayer]:
        """Recurrent layers of this package, including counterparts of stock layers."""
        ours = [layer for _, pair in self._counterparts for layer in flatten_layers(pair)]
        return [layer for layer in [*self.layers, *ours] if isinstance(layer, RecurrentLayer)]

    @property
    def has_masks(self) -> bool:
        """Whether steps may be masked: a layer makes a mask, receives one, or is inside a subclassed model."""
        return any(map(_makes_mask, self.layers)) or any(tensor.dtype == "bool" for tensor in self.inputs)

    @property
    def stateful_layers(self) -> list[keras.layers.Layer]:
        """Layers that carry states from batch to batch."""
        return [layer for layer in self.layers if getattr(layer, "stateful", False) and hasattr(layer, "reset_state")]

    def outputs(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run the original model on the CPU, since GPUs may compute float32 with less precision.

        Args:
            inputs: arrays by input name.

        Returns:
            Arrays by output name.
        """
        tensors = [
            tf.convert_to_tensor(inputs[name], tensor.dtype)
            for name, tensor in zip(self.input_names, self.inputs, strict=True)
        ]
        with self._states_of_zero(), self._legal_layer_names(), tf.device("/CPU:0"):
            outputs = self._trace_original(tensors)(*tensors)
        return dict(zip(self.output_names, [output.numpy() for output in outputs], strict=True))

    def _trace_original(self, tensors):
        shapes = tuple(tuple(tensor.shape) for tensor in tensors)
        if shapes not in self._traced:
            function = tf.function(self._call_original, autograph=False)
            self._traced[shapes] = function.get_concrete_function(*[tf.TensorSpec(t.shape, t.dtype) for t in tensors])
        return self._traced[shapes]

    def _call_original(self, *tensors):
        model = self.original if isinstance(self.original, (Functional, keras.Sequential)) else self.functional
        return keras.tree.flatten(model(self._pack(tensors), training=False))

    def function(
        self,
        weights: Sequence,
        target: str,
        form: str = "fused",
        padding: str = "any",
        shapes: dict[str, tuple] | None = None,
        more_inputs: Sequence[tf.TensorSpec] = (),
        wrapper: Callable[[Callable[[], dict], dict], dict] | None = None,
    ) -> Callable:
        """Trace the model for inference as a function of named inputs.

        Args:
            weights: arrays, tensors or `tf.Variable`s that replace `functional.variables`, in the same order.
            target, form, padding: see `exporting`.
            shapes: of the model's inputs, by input name; None: any number of rows of the model's own shapes.
            more_inputs: specs of additional inputs, for `wrapper`.
            wrapper: function that is called instead of the model, with a function that calls the model and returns its
                outputs by name, and with the additional inputs by name; returns outputs by name. None: the model.

        Returns:
            A concrete function with named inputs, which returns a dict of named outputs.
        """
        names = self.input_names
        specs = [
            tf.TensorSpec(shapes[name] if shapes else (None, *tensor.shape[1:]), tensor.dtype, name=name)
            for name, tensor in zip(names, self.inputs, strict=True)
        ]
        pairs = list(zip(self.functional.variables, weights, strict=True))

        def serve(*inputs):
            own, more = inputs[: len(names)], inputs[len(names) :]

            def call():
                outputs = self.functional(self._pack(own), training=False)
                return dict(zip(self.output_names, keras.tree.flatten(outputs), strict=True))

            with (
                exporting(target, form, padding),
                contextlib.nullcontext() if target == "saved_model" else stable_operations(),
                using_counterparts(self._counterparts),
                keras.StatelessScope(state_mapping=[(v, tf.convert_to_tensor(w)) for v, w in pairs]),
            ):
                if wrapper is None:
                    return call()
                return wrapper(call, {spec.name: tensor for spec, tensor in zip(more_inputs, more, strict=True)})

        with self._any_length(), self._legal_layer_names(), self._stateless():
            return tf.function(serve, autograph=False, input_signature=[*specs, *more_inputs]).get_concrete_function()

    def _pack(self, tensors):
        return keras.tree.pack_sequence_as(self.functional.input, list(tensors))

    @contextlib.contextmanager
    def _any_length(self) -> Iterator[None]:
        """Let functional models take sequences of a length that they were not built for, such as one step."""
        models = [model for model in [self.functional, *self.layers] if isinstance(model, Functional)]
        former = [model.input_spec for model in models]
        try:
            for model in models:
                model.input_spec = None
            yield
        finally:
            for model, spec in zip(models, former, strict=True):
                model.input_spec = spec

    @contextlib.contextmanager
    def _legal_layer_names(self) -> Iterator[None]:
        """Replace layer names that TensorFlow rejects in graphs, since Keras allows any."""
        with contextlib.ExitStack() as stack:
            for layer in self.layers:
                if not _SCOPE_NAME.fullmatch(layer.name):
                    stack.enter_context(attributes_set(layer, {"name": make_identifier(layer.name)}))
            yield

    @contextlib.contextmanager
    def _stateless(self) -> Iterator[None]:
        """Make recurrent layers stateless: states of an exported function are inputs and outputs, or zeros."""
        with contextlib.ExitStack() as stack:
            for layer in self.recurrent_layers:
                stack.enter_context(attributes_set(layer, {"stateful": False}))
            yield

    @contextlib.contextmanager
    def _states_of_zero(self) -> Iterator[None]:
        """Reset stateful layers, and restore their states at the end."""
        layers = self.stateful_layers
        former = {id(v): (v, v.numpy()) for layer in layers for v in keras.tree.flatten(layer.states or ())}
        try:
            for layer in layers:
                layer.reset_state()
            yield
        finally:
            for variable, value in former.values():
                variable.assign(value)

    @contextlib.contextmanager
    def cast_to_float32(self) -> Iterator[None]:
        """Compute a model that was trained in mixed precision in float32, the dtype of its weights."""
        ours = [layer for _, made in self._counterparts for layer in flatten_layers(made)]
        layers = {id(layer): layer for layer in [*self.layers, *ours]}.values()
        mixed = [(layer, layer.dtype_policy) for layer in layers if layer.dtype_policy.name.startswith("mixed_")]
        traced = self._traced
        try:
            for layer, _ in mixed:
                layer.dtype_policy = "float32"
            if mixed:  # functions that were traced before compute in mixed precision
                self._traced = {}
            yield
        finally:
            self._traced = traced
            for layer, policy in mixed:
                layer.dtype_policy = policy


def serving_model(model: keras.Model | ServingModel) -> ServingModel:
    """Make a `ServingModel` of a Keras model; return a `ServingModel` unchanged."""
    return model if isinstance(model, ServingModel) else ServingModel(model)


def _makes_mask(layer) -> bool:
    if isinstance(layer, (keras.layers.Embedding, keras.layers.Masking)):
        return getattr(layer, "mask_zero", True)
    has_own = not type(layer).compute_mask.__module__.startswith(("keras.", "tfpar."))
    is_subclassed = isinstance(layer, keras.Model) and not isinstance(layer, (Functional, keras.Sequential))
    arguments = [node.arguments.kwargs for node in inbound_nodes(layer)]
    return has_own or is_subclassed or any(kwargs.get("mask") is not None for kwargs in arguments)


def renamed_names(models: Iterable[ServingModel]) -> dict[str, dict[str, dict[str, str]]]:
    """Collect {"renamed": {"inputs", "outputs"}}: original names by their replacements; {} if there are none."""
    renamed: dict[str, dict[str, str]] = {"inputs": {}, "outputs": {}}
    for model in models:
        for kind, names in model.renamed.items():
            renamed[kind] |= names
    return {"renamed": renamed} if any(renamed.values()) else {}


def _pair_with_counterparts(layers):
    """List stock layers with their counterparts; a Bidirectional's counterpart covers the layers within it."""
    pairs = [(layer, ours) for layer in layers if (ours := counterpart(layer)) is not None]
    inner = {id(child) for layer, _ in pairs for child in flatten_layers(layer, include_self=False)}
    return [(layer, ours) for layer, ours in pairs if id(layer) not in inner]


def _make_functional(model) -> Functional:
    if isinstance(model, Functional):
        return model
    if not isinstance(model, keras.Model):
        raise UserError(f"`model` must be a keras.Model; got {type(model).__name__}. Make a keras.Model of it")
    if isinstance(model, keras.Sequential) and model.built and has_functional_graph(model):
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    if not model.built:
        raise UserError(f"{model.name} is not built, so its inputs are unknown. Call it once on data or on keras.Input")
    arguments = _inputs_of_subclassed(model)
    positional = next(iter(arguments.values())) if len(arguments) == 1 else arguments
    outputs = model(positional) if len(arguments) == 1 else model(**arguments)
    return keras.Model(positional, outputs, name=model.name)


def _inputs_of_subclassed(model) -> dict:
    """Make symbolic inputs by argument of `call`, of the shapes that the model was built for."""
    shapes = build_shapes(model)
    if not shapes:
        raise UserError(
            f"{model.name} is a {type(model).__name__} whose inputs are unknown. Call it on keras.Input and export "
            "keras.Model(inputs, outputs)"
        )
    has_table = any(isinstance(layer, keras.layers.Embedding) for layer in flatten_layers(model))
    names = [name.removesuffix("_shape") for name in shapes]
    leaves = [shape for value in shapes.values() for shape in _shapes(value)]
    if has_table and len(leaves) > 1:
        raise UserError(
            f"{model.name} is a {type(model).__name__} of several inputs whose dtypes are unknown. "
            "Call it on keras.Input and export keras.Model(inputs, outputs)"
        )
    dtype = "int32" if has_table and len(leaves[0]) == 2 else "float32"
    count = iter(range(len(leaves)))

    def make(name, value):
        if isinstance(value, dict):
            return {key: make(key, each) for key, each in value.items()}
        if not _is_shape(value):
            return [make(f"{name}_{next(count)}", each) for each in value]
        return keras.Input(tuple(value)[1:], dtype=dtype, name=name)

    return {name: make(name, value) for name, value in zip(names, shapes.values(), strict=True)}


def _is_shape(value) -> bool:
    return isinstance(value, (tuple, list)) and all(size is None or isinstance(size, int) for size in value)


def _shapes(value) -> list:
    if _is_shape(value):
        return [value]
    return [shape for inner in (value.values() if isinstance(value, dict) else value) for shape in _shapes(inner)]


def _keras_output_names(model) -> list[str]:
    """List the keys of a dict of outputs; else the names of the layers that compute them."""
    struct = keras.tree.pack_sequence_as(outputs_structure(model), list(range(len(model.outputs))))
    if isinstance(struct, dict) and all(isinstance(index, int) for index in struct.values()):
        return [str(key) for key, _ in sorted(struct.items(), key=lambda item: item[1])]
    return [producing_call(tensor)[0].name for tensor in model.outputs]


def _legal_names(names: Iterable[str]) -> list[str]:
    """Convert names to unique identifiers of C and Python."""
    legal = []
    for name in names:
        plain = make_identifier(name)
        number, unique = 0, plain
        while unique in legal or (number and unique in names):
            number += 1
            unique = f"{plain}_{number}"
        legal.append(unique)
    return legal
