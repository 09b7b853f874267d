"""The loop over time of a recurrence without a gradient of its own, with a gradient by automatic differentiation."""

import tensorflow as tf

from tfpar.ops.recurrence import Recurrence, RecurrentWeights, Tensors
from tfpar.ops.time_loop import select


def autodiff_loop(
    recurrence: Recurrence,
    x_proj: tf.Tensor,
    initial_states: Tensors,
    weights: RecurrentWeights,
    mask: tf.Tensor | None = None,
    dropout: tf.Tensor | None = None,
    bias: tf.Tensor | None = None,
    go_backwards: bool = False,
    returns_sequence: bool = True,
) -> tuple[tf.Tensor | None, Tensors]:
    """Run a recurrence through time; arguments and results are those of `tfpar.ops.time_loop.time_loop`.

    Its backward loop has a matmul for the weights' gradient at each step, and under XLA copies the stacks of all steps
    at each step: time is quadratic in the number of steps.
    """
    steps = tf.shape(x_proj)[0]
    x_proj = x_proj if bias is None else x_proj + bias

    def body(iteration, states, outputs):
        t = steps - 1 - iteration if go_backwards else iteration
        new, _ = recurrence.step(x_proj[t], states, weights, dropout)
        states = select(None if mask is None else mask[t], new, states)
        return iteration + 1, states, tuple(stack.write(t, states[0]) for stack in outputs)

    shape = initial_states[0].shape
    outputs = (tf.TensorArray(x_proj.dtype, steps, element_shape=shape),) if returns_sequence else ()
    _, states, outputs = tf.while_loop(
        lambda iteration, *_: iteration < steps,
        body,
        (tf.constant(0), tuple(initial_states), outputs),
        maximum_iterations=steps,
    )
    return outputs[0].stack() if returns_sequence else None, states
