"""A loop over time around any step, with a gradient by automatic differentiation."""

from collections.abc import Callable

import tensorflow as tf

from tfpar.ops.recurrence import Tensors


def scan(step: Callable[[Tensors, tf.Tensor], Tensors], carry: Tensors, inputs: tf.Tensor) -> tuple[Tensors, Tensors]:
    """Run a step through time.

    XLA compiles its gradient, too, but each step of that copies the stacks of all steps: time is quadratic in steps.

    Args:
        step: maps (carry, inputs of a step) to the next carry, of the same shapes and dtypes.
        carry: the tensors before the first step.
        inputs: (time, ...).

    Returns:
        The carry after the last step, and the stack of all carries, (time, ...) each.
    """
    steps = tf.shape(inputs)[0]

    def body(t, carry, stacks):
        carry = step(carry, tf.gather(inputs, t))
        return t + 1, carry, tuple(stack.write(t, tensor) for stack, tensor in zip(stacks, carry, strict=True))

    stacks = tuple(tf.TensorArray(tensor.dtype, steps, element_shape=tensor.shape) for tensor in carry)
    _, carry, stacks = tf.while_loop(lambda t, *_: t < steps, body, (0, tuple(carry), stacks), maximum_iterations=steps)
    return carry, tuple(stack.stack() for stack in stacks)
