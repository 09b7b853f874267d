"""Finds the most likely cause of a difference between an exported model and the Keras model, and a remedy."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from tfpar.errors import UserError
from tfpar.export.conversion.serving import ServingModel
from tfpar.export.conversion.verify_outputs import EXAMPLE, Comparison, Excess
from tfpar.export.formats import Format
from tfpar.keras_private import producing_call

if TYPE_CHECKING:
    from tfpar.export.conversion.signatures import StepSignature

_STREAMING_ERROR = 1e-3  # relative; rounding is far below


def check_stateless(serving: ServingModel) -> None:
    """Check that no layer carries states from batch to batch, since a file resets states in each call.

    Raises:
        UserError: the model has such a layer.
    """
    if serving.stateful_layers:
        raise UserError(
            f"the layer {serving.stateful_layers[0].name!r} is stateful, and a file has no state between calls. "
            "Use tflite with streaming=True, whose signature 'step' takes and returns the states, or stateful=False"
        )


def find_random_output(serving: ServingModel, inputs: dict[str, np.ndarray]) -> str | None:
    """Find an output that changes from call to call; None if there is none."""
    first, second = serving.outputs(inputs), serving.outputs(inputs)
    changed = (name for name in first if not np.array_equal(first[name], second[name], equal_nan=True))
    return next(changed, None)


def explain_excess(
    serving: ServingModel, chosen: Format, worst: Excess, comparison: Comparison, padding: str = "any"
) -> str:
    """Name the cause of an error above the tolerance, and a remedy.

    Args:
        serving: the model.
        chosen: the format; its remedy is the default.
        worst: the output that exceeds its tolerance.
        comparison: of all outputs and rows.
        padding: where masked steps may stand, see `tflite`.
    """
    cause = (
        _undefined(serving, comparison)
        or _padding(worst, chosen, comparison)
        or _padding_of_examples(padding, comparison)
        or _random_outputs(serving, comparison)
        or _several_recurrent_layers(serving, chosen)
    )
    return cause or chosen.remedy


def describe_random(name: str) -> str:
    """Describe a random output and the remedy."""
    return f"the output {name!r} is random, it changes from call to call. Remove the layer that draws random numbers"


def _undefined(serving, comparison):
    if comparison.undefined is None:
        return None
    for variable in serving.functional.variables:
        if variable.dtype.startswith(("float", "bfloat")) and not np.isfinite(variable.numpy().astype(float)).all():
            return (
                f"the weights {variable.path} hold NaN or infinity: training diverged. Train again with a smaller "
                "learning rate or with clipping"
            )
    return (
        "the model itself gives NaN for these inputs. Give inputs like those of training, or look for a division by 0"
    )


def _padding(worst, chosen, comparison):
    if worst.kind == EXAMPLE or not comparison.worst(chosen, worst.allowed, [EXAMPLE]).is_allowed:
        return None
    return f"this occurs on rows that are {worst.kind}. Use form='loop', or padding='right' if no inputs are like them"


def _padding_of_examples(padding, comparison):
    if padding != "right" or not comparison.has_gaps:
        return None
    return "the examples have rows that are padded at the left or have gaps, which padding='right' excludes. Use 'any'"


def _random_outputs(serving, comparison):
    name = comparison.example and find_random_output(serving, comparison.example)
    return name and describe_random(name)


def _several_recurrent_layers(serving, chosen):
    names = [layer.name for layer in serving.recurrent_layers]
    if chosen.name != "int8" or len(names) < 2:
        return None
    return f"the errors of {', '.join(names)} add up in 8 bits: quantize with dynamic, or {chosen.remedy}"


def find_multi_step_layer(serving: ServingModel, make_steps: "Callable[[keras.Model], StepSignature]") -> str | None:
    """Find the first layer whose output for the last step differs from that for the whole sequence.

    Args:
        serving: a model that is streamed.
        make_steps: model -> its signature, on the same samples.

    Returns:
        The layer's name; None if no layer differs.
    """
    for name, outputs in _layer_outputs(serving.functional).items():
        steps = make_steps(keras.Model(serving.inputs, outputs))
        try:
            function = steps.function("tflite", "unrolled")
        except (ValueError, TypeError, tf.errors.OpError):
            return name
        run = partial(_run, function)
        if not steps.compare(run, steps.rows_to_compare()[:1]).relative_error <= _STREAMING_ERROR:  # NaN, too
            return name
    return None


def _layer_outputs(model) -> dict[str, list]:
    """List symbolic outputs within a functional model, by the name of their layer, in order from the inputs."""
    found = {}

    def visit(tensor):
        operation, node = producing_call(tensor)
        if operation.name in found or isinstance(operation, keras.layers.InputLayer):
            return
        for input_tensor in node.input_tensors:
            visit(input_tensor)
        found[operation.name] = node.output_tensors

    for output in model.outputs:
        visit(output)
    return found


def _run(function, **inputs):
    return {name: output.numpy() for name, output in function(**{k: tf.constant(v) for k, v in inputs.items()}).items()}
