"""The sequential evaluation of a recurrence where nothing is kept for a backward pass: as a loop, in chunks, unrolled.

All take what `tfpar.ops.time_loop.time_loop` takes, and return what it returns; without `returns_sequence` the loops
return None in place of the outputs of all steps.
"""

import tensorflow as tf

from tfpar.ops.recurrence import Recurrence, RecurrentWeights, Tensors
from tfpar.ops.time_loop import select


def inference_loop(
    recurrence: Recurrence,
    projected: tf.Tensor,
    initial_states: Tensors,
    weights: RecurrentWeights,
    mask: tf.Tensor | None = None,
    returns_sequence: bool = True,
) -> tuple[tf.Tensor | None, Tensors]:
    """One loop over all steps: the smallest graph."""
    steps = tf.shape(projected)[0]

    def body(t, states, outputs):
        new, _ = recurrence.step(_taken(projected, t), states, weights, None)
        states = select(_taken(mask, t), new, states)
        return t + 1, states, tuple(stack.write(t, states[0]) for stack in outputs)

    outputs = _outputs(projected, steps, initial_states[0].shape, returns_sequence)
    return _loop(steps, body, tuple(initial_states), outputs)


def chunked_loop(
    recurrence: Recurrence,
    projected: tf.Tensor,
    initial_states: Tensors,
    weights: RecurrentWeights,
    mask: tf.Tensor | None = None,
    returns_sequence: bool = True,
    chunk: int = 5,
) -> tuple[tf.Tensor | None, Tensors]:
    """A loop over chunks of steps that are written out one after the other; the number of steps is static.

    An interpreter's price for each turn of a loop is then paid once a chunk, and the graph stays small.
    """
    steps, units = projected.shape[0], initial_states[0].shape[-1]
    chunks, batch = steps // chunk, projected.shape[1] or -1
    whole = chunks * chunk

    def in_chunks(tensor):
        return None if tensor is None else tf.reshape(tensor[:whole], [chunks, chunk, batch, *tensor.shape[2:]])

    rows, masks = in_chunks(projected), in_chunks(mask)

    def body(t, states, outputs):
        sequence, states = unrolled_loop(recurrence, _taken(rows, t), states, weights, _taken(masks, t))
        # As a matrix: TFLite's converter knows no lists of tensors of higher rank.
        return t + 1, states, tuple(stack.write(t, tf.reshape(sequence, [-1, units])) for stack in outputs)

    outputs = _outputs(projected, chunks, (None if batch < 0 else chunk * batch, units), returns_sequence)
    sequence, states = _loop(chunks, body, tuple(initial_states), outputs)
    if sequence is not None:
        sequence = tf.reshape(sequence, [whole, batch, units])
    if whole == steps:
        return sequence, states
    left = None if mask is None else mask[whole:]
    rest, states = unrolled_loop(recurrence, projected[whole:], states, weights, left)
    return None if sequence is None else tf.concat([sequence, rest], 0), states


def unrolled_loop(
    recurrence: Recurrence,
    projected: tf.Tensor,
    initial_states: Tensors,
    weights: RecurrentWeights,
    mask: tf.Tensor | None = None,
    dropout: tf.Tensor | None = None,
) -> tuple[tf.Tensor, Tensors]:
    """No loop: the steps written out one after the other; the number of steps is static. It may be trained, too."""
    states, sequence = tuple(initial_states), []
    for t, row in enumerate(tf.unstack(projected)):
        new, _ = recurrence.step(row, states, weights, dropout)
        states = select(None if mask is None else mask[t], new, states)
        sequence.append(states[0])
    return tf.stack(sequence), states


def _taken(tensor, t):
    """tensor[t]; TFLite gathers a step in a fraction of the time that it takes to slice one at a place that varies."""
    return None if tensor is None else tf.gather(tensor, t)


def _outputs(projected, turns, shape, returns_sequence):
    """The list of outputs, or nothing. Without its shape TFLite's converter would take the lists of two loops for one.

    LiteRT copies the whole list at each turn.
    """
    return (tf.TensorArray(projected.dtype, turns, element_shape=shape),) if returns_sequence else ()


def _loop(turns, body, states, outputs):
    _, states, outputs = tf.while_loop(lambda t, *_: t < turns, body, (0, states, outputs))
    return outputs[0].stack() if outputs else None, states
