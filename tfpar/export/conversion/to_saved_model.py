"""Exports a model as a SavedModel, which TensorFlow runs without tfpar."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfpar.cluster import outside_scope
from tfpar.errors import UserError
from tfpar.export.conversion.diagnosis import check_stateless, explain_excess
from tfpar.export.conversion.samples import rows_to_compare, sample_inputs
from tfpar.export.conversion.serving import ServingModel, renamed_names, serving_model
from tfpar.export.conversion.verify_outputs import Comparison, is_comparable
from tfpar.export.formats import FORMATS
from tfpar.files import directory_written_atomically

_MIXED_PRECISION = FORMATS["dynamic"]  # bfloat16 has eight significant bits, too


@outside_scope()
def saved_model(
    model: keras.Model | ServingModel | dict[str, keras.Model | ServingModel], path: Path | str
) -> dict[str, Any]:
    """Write a model as a SavedModel with named inputs and outputs, any batch size and any length of time.

    It contains weights, lookup tables and plain TensorFlow operations, none that needs tfpar, Keras or a GPU. It is
    loaded and compared with the model before it is written.

    Args:
        model: a built model, of any kind; or several by the names of their signatures, which share weights if they
            share layers.
        path: the directory; one that holds a SavedModel is replaced as a whole.

    Returns:
        {"format", "path", "signatures", "max_abs_error" (over random inputs, padded rows among them)}.

    Raises:
        UserError: the model is not built or is stateful, or the SavedModel's outputs differ; the directory cannot be
            written.
    """
    models = model if isinstance(model, dict) else {"serving_default": model}
    serving = {name: serving_model(of) for name, of in models.items()}
    for of in serving.values():
        check_stateless(of)
    with directory_written_atomically(Path(path), signed_by="saved_model.pb") as temporary:
        _save(serving, temporary)
        comparison = _compare(serving, temporary)
    return {
        "format": "saved_model",
        "path": str(path),
        "signatures": sorted(models),
        "outputs": next(iter(serving.values())).output_names,
        **renamed_names(serving.values()),
        "max_abs_error": comparison.error,
    }


def saved_model_in_bundle(
    model: keras.Model | ServingModel | dict[str, keras.Model | ServingModel], directory: Path
) -> dict[str, Any]:
    """Write `directory/saved_model`; return its report, with "bytes", for the bundle's manifest."""
    name = "saved_model"
    report = saved_model(model, directory / name)
    size = sum(path.stat().st_size for path in (directory / name).rglob("*") if path.is_file())
    return {**report, "path": name, "bytes": size}


def _save(serving, directory):
    own = {id(v): v for of in serving.values() for v in of.functional.variables}
    weights = {
        key: tf.Variable(v.numpy(), trainable=v.trainable, name=v.name.replace(" ", "_")) for key, v in own.items()
    }
    module = tf.Module()
    module.weights = list(weights.values())
    module.tables = [table for of in serving.values() for table in _list_resources(of)]
    signatures = {
        name: of.function([weights[id(v)] for v in of.functional.variables], "saved_model")
        for name, of in serving.items()
    }
    tf.saved_model.save(module, str(directory), signatures=signatures)


def _list_resources(serving: ServingModel) -> list:
    """List the lookup tables and other resources that functions refer to."""
    resources, kinds = {}, (tf.lookup.experimental.MutableHashTable, tf.saved_model.experimental.TrackableResource)
    for layer in serving.layers:
        for child in tf.train.TrackableView(layer).descendants():
            if isinstance(child, kinds):
                resources[id(child)] = child
    return list(resources.values())


def _compare(serving, directory) -> Comparison:
    """Compare the SavedModel with the models; raise UserError if it exceeds the tolerance."""
    total, loaded = Comparison(), tf.saved_model.load(str(directory))
    for name, of in serving.items():
        comparison, rows = Comparison(), rows_to_compare(of, sample_inputs(of, None))
        for row in rows:
            expected = of.outputs(row.inputs)
            if is_comparable(row, expected):
                comparison.add(row, _run(loaded.signatures[name], of, row.inputs), expected)
        is_mixed = any(layer.compute_dtype in ("bfloat16", "float16") for layer in of.layers)
        chosen = _MIXED_PRECISION if is_mixed else FORMATS["float32"]
        worst = comparison.worst(chosen)
        if not worst.is_allowed:
            raise UserError(
                f"the SavedModel differs from Keras by {worst.error:.2g} in {worst.output!r}, more than the allowed "
                f"{worst.allowed:.2g}; {explain_excess(of, chosen, worst, comparison)}"
            )
        total.update(comparison, f"{name}/")
    return total


def _run(signature, serving, inputs) -> dict[str, np.ndarray]:
    tensors = {
        name: tf.convert_to_tensor(inputs[name], tensor.dtype)
        for name, tensor in zip(serving.input_names, serving.inputs, strict=True)
    }
    return {name: output.numpy() for name, output in signature(**tensors).items()}
