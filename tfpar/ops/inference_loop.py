"""The sequential evaluation of a recurrence without residuals: as a loop, in chunks, unrolled.

Arguments and results are those of `tfpar.ops.time_loop.time_loop`; without `returns_sequence` the loops return None for
the outputs of all steps.
"""

from typing import cast

import tensorflow as tf

from tfpar.ops.recurrence import PairedWeights, Recurrence, RecurrentWeights, Tensors
from tfpar.ops.time_loop import select


def inference_loop(
    recurrence: Recurrence,
    x_proj: tf.Tensor,
    initial_states: Tensors,
    weights: RecurrentWeights | PairedWeights,
    mask: tf.Tensor | None = None,
    returns_sequence: bool = True,
) -> tuple[tf.Tensor | None, Tensors]:
    """Run one loop over all steps: the smallest graph."""
    steps = tf.shape(x_proj)[0]
    step_weights = cast(RecurrentWeights, weights)  # forward, a step only projects by them

    def body(t, states, outputs):
        new, _ = recurrence.step(_gather_step(x_proj, t), states, step_weights, None)
        states = select(_gather_step(mask, t), new, states)
        return t + 1, states, tuple(stack.write(t, states[0]) for stack in outputs)

    outputs = _make_outputs(x_proj, steps, initial_states[0].shape, returns_sequence)
    return _loop(steps, body, tuple(initial_states), outputs)


def chunked_loop(
    recurrence: Recurrence,
    x_proj: tf.Tensor,
    initial_states: Tensors,
    weights: RecurrentWeights,
    mask: tf.Tensor | None = None,
    returns_sequence: bool = True,
    chunk: int = 5,
) -> tuple[tf.Tensor | None, Tensors]:
    """Run a loop over chunks of unrolled steps; the number of steps is static.

    An interpreter has a fixed cost for each iteration of a loop, which is then one for each chunk. The graph stays
    small.
    """
    steps, units = x_proj.shape[0], initial_states[0].shape[-1]
    chunks, batch = steps // chunk, x_proj.shape[1] or -1
    whole = chunks * chunk

    def in_chunks(tensor):
        return None if tensor is None else tf.reshape(tensor[:whole], [chunks, chunk, batch, *tensor.shape[2:]])

    rows, masks = in_chunks(x_proj), in_chunks(mask)

    def body(t, states, outputs):
        sequence, states = unrolled_loop(recurrence, _gather_step(rows, t), states, weights, _gather_step(masks, t))
        # As a matrix: TFLite's converter does not support lists of tensors of higher rank.
        return t + 1, states, tuple(stack.write(t, tf.reshape(sequence, [-1, units])) for stack in outputs)

    outputs = _make_outputs(x_proj, chunks, (None if batch < 0 else chunk * batch, units), returns_sequence)
    sequence, states = _loop(chunks, body, tuple(initial_states), outputs)
    if sequence is not None:
        sequence = tf.reshape(sequence, [whole, batch, units])
    if whole == steps:
        return sequence, states
    remaining_mask = None if mask is None else mask[whole:]
    remainder, states = unrolled_loop(recurrence, x_proj[whole:], states, weights, remaining_mask)
    return None if sequence is None else tf.concat([sequence, remainder], 0), states


def unrolled_loop(
    recurrence: Recurrence,
    x_proj: tf.Tensor,
    initial_states: Tensors,
    weights: RecurrentWeights,
    mask: tf.Tensor | None = None,
    dropout: tf.Tensor | None = None,
) -> tuple[tf.Tensor, Tensors]:
    """Run the steps without a loop; their number is static. Automatic differentiation supports training, too."""
    states, sequence = tuple(initial_states), []
    for t, row in enumerate(tf.unstack(x_proj)):
        new, _ = recurrence.step(row, states, weights, dropout)
        states = select(None if mask is None else mask[t], new, states)
        sequence.append(states[0])
    return tf.stack(sequence), states


def _gather_step(tensor, t):
    """Return tensor[t], by a gather: TFLite's slice at a variable offset takes several times as long."""
    return None if tensor is None else tf.gather(tensor, t)


def _make_outputs(x_proj, iterations, shape, returns_sequence):
    """Make the list of outputs, if it is returned; LiteRT copies it at each iteration.

    The element shape distinguishes the lists of two loops, which TFLite's converter would merge otherwise.
    """
    return (tf.TensorArray(x_proj.dtype, iterations, element_shape=shape),) if returns_sequence else ()


def _loop(iterations, body, states, outputs):
    _, states, outputs = tf.while_loop(lambda t, *_: t < iterations, body, (0, states, outputs))
    return outputs[0].stack() if outputs else None, states
