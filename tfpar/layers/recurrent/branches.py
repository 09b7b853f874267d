"""Several next steps from one state, none of which sees another, as a decoder without feedback takes them."""

from typing import cast

import tensorflow as tf

from tfpar.layers.call_context import is_exporting_file
from tfpar.layers.recurrent.base import RecurrentLayer
from tfpar.ops.recurrence import RecurrentWeights, SharedStateWeights, Tensors, project, repeat_rows


def step_from_each(layer: RecurrentLayer, inputs: tf.Tensor, states: Tensors) -> tf.Tensor:
    """Take a step of a layer from each state by each of several inputs: the layer's outputs for sequences of one step.

    States, and inputs that several rows have in common, are projected once and not for each pair.

    Args:
        layer: built, without dropout of inputs and states.
        inputs: float (batch, branches, features), or (n, branches, features), where row r of the states has those of
            row r modulo n, for a static n.
        states: as `layer.state_size` tells, float (batch, units) each.

    Returns:
        float (batch, branches, units).
    """
    if layer.dropout or layer.recurrent_dropout:
        raise ValueError(f"`dropout` and `recurrent_dropout` of {layer.name} must be 0 for a step from each state.")
    _, job = layer.prepare(inputs)
    recurrence = job.recurrence.for_interpreter() if is_exporting_file() else job.recurrence
    branches, x_proj = inputs.shape[1], project(job.inputs, job.kernel, job.bias)
    if inputs.shape[0] is not None:
        copies = tf.shape(states[0])[0] // inputs.shape[0]
        x_proj = tf.tile(x_proj[None], [copies, 1, 1, 1])
    x_proj = tf.reshape(x_proj, [-1, x_proj.shape[-1]])
    weights, repeated = job.weights, tuple(repeat_rows(state, branches) for state in states)
    if type(weights) is RecurrentWeights:  # a cell with weights of its own looks them up by name
        weights = cast(RecurrentWeights, SharedStateWeights(weights, states[0], repeated[0], branches))
    (outputs, *_), _ = recurrence.step(x_proj, repeated, weights, None)
    return tf.reshape(outputs, [-1, branches, outputs.shape[-1]])
