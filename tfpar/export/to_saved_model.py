"""SavedModel: runs wherever TensorFlow runs, without tfpar."""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import tensorflow as tf

from tfpar.cluster import outside_scope
from tfpar.files import directory_written_atomically
from tfpar.layers.recurrent.kernels import exporting


@outside_scope()
def saved_model(model: keras.Model | dict[str, keras.Model], path: Path | str) -> None:
    """Writes a model as a SavedModel with named inputs and outputs, any batch size and any length of time.

    It holds weights and plain TensorFlow operations, none that needs tfpar, Keras or a GPU.

    Args:
        model: a built functional model; or several by the names of their signatures, which share weights if they share
            layers.
        path: the directory; one that holds a SavedModel is replaced as a whole.

    Raises:
        ValueError: the model has no defined inputs.
        UserError: the directory cannot be written.
    """
    models = model if isinstance(model, dict) else {"serving_default": model}
    own = {id(v): v for of in models.values() for v in of.variables}
    weights = {key: tf.Variable(v.numpy(), trainable=v.trainable, name=v.name) for key, v in own.items()}
    module = tf.Module()
    module.weights = list(weights.values())
    signatures = {
        name: serving_function(of, [weights[id(v)] for v in of.variables], "saved_model") for name, of in models.items()
    }
    with directory_written_atomically(Path(path), signed_by="saved_model.pb") as temporary:
        tf.saved_model.save(module, str(temporary), signatures=signatures)


def saved_model_in_bundle(model: keras.Model | dict[str, keras.Model], directory: Path) -> dict:
    """Writes `directory/saved_model`; returns {"format", "path", "bytes"} for the bundle's manifest."""
    name = "saved_model"
    saved_model(model, directory / name)
    size = sum(path.stat().st_size for path in (directory / name).rglob("*") if path.is_file())
    return {"format": name, "path": name, "bytes": size}


def serving_function(
    model: keras.Model,
    weights,
    target: str,
    form: str = "fused",
    shapes: dict[str, tuple] | None = None,
    more_inputs: Sequence[tf.TensorSpec] = (),
    around: Callable[[Callable[[], dict], dict], dict] | None = None,
):
    """Traces a model for inference as a function of named inputs.

    Args:
        model: a built functional model.
        weights: what stands in for `model.variables`, in that order: tensors or `tf.Variable`s.
        target, form: see `exporting`.
        shapes: shapes that replace those of the model's inputs, by input name.
        more_inputs: specs of inputs beside the model's, for `around`.
        around: called with a function that calls the model and returns its outputs by name, and the other inputs by
            name; returns what is to be returned. None: the model's outputs.

    Returns:
        A concrete function with named inputs, which returns a dict of named outputs.
    """
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"{model.name} has no defined inputs; export a functional model, or one called on keras.Input."
        )
    names = input_names(model)
    specs = [
        tf.TensorSpec((shapes or {}).get(name, tensor.shape), tensor.dtype, name=name)
        for name, tensor in zip(names, model.inputs, strict=True)
    ]

    def serve(*inputs):
        own, more = inputs[: len(names)], inputs[len(names) :]

        def call():
            outputs = model(tf.nest.pack_sequence_as(model.input, own), training=False)
            return dict(zip(output_names(model), tf.nest.flatten(outputs), strict=True))

        with (
            exporting(target, form),
            keras.StatelessScope(
                state_mapping=[(v, tf.convert_to_tensor(w)) for v, w in zip(model.variables, weights, strict=True)]
            ),
        ):
            if around is None:
                return call()
            return around(call, {spec.name: tensor for spec, tensor in zip(more_inputs, more, strict=True)})

    return tf.function(serve, autograph=False, input_signature=[*specs, *more_inputs]).get_concrete_function()


def named_outputs(model: keras.Model, inputs: dict) -> dict:
    """Runs the Keras model itself on arrays by input name; returns arrays by output name."""
    outputs = model(tf.nest.pack_sequence_as(model.input, list(inputs.values())), training=False)
    arrays = [keras.ops.convert_to_numpy(output) for output in tf.nest.flatten(outputs)]
    return dict(zip(output_names(model), arrays, strict=True))


def input_names(model: keras.Model) -> list[str]:
    """The names of a functional model's inputs."""
    return [tensor.name for tensor in model.inputs]


def output_names(model: keras.Model) -> list[str]:
    """The names of a functional model's outputs: of the layers that make them."""
    return [tensor._keras_history.operation.name for tensor in model.outputs]
