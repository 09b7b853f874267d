"""The affine scan h[t] = a[t] * h[t-1] + b[t] of sequences that are divided over replicas.

The steps of a slice compose to one affine map, h_end = A h_begin + B. So each replica

1. scans its steps from zero, which gives s[t] and the products p[t] of the factors; A and B are the last of p and s;
2. gathers A and B of all slices, and composes those before its own to h_begin;
3. computes h[t] = s[t] + p[t] * h_begin.

The gradient is the same in the other direction. Each direction has one exchange of (batch, 2 * units) numbers for each
slice, whatever the number of steps (as LASP-2 does for linear attention, Sun et al. 2025, arXiv:2502.07563).
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfpar.ops.affine_scan import IMPLEMENTATIONS, expand, shift
from tfpar.ops.recurrence import Tensors
from tfpar.ops.time_slice import TimeSlice


def sliced_scan(
    coefficients: Callable[..., tuple[tf.Tensor, tf.Tensor]],
    tensors: Sequence[tf.Tensor],
    initial: tf.Tensor,
    time_slice: TimeSlice,
    *,
    mask: tf.Tensor | None = None,
    implementation: str = "sequential",
) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute h[t] for the steps of this slice, differentiable in `tensors` and `initial`.

    Coefficients are computed again for the gradient, instead of being stored.

    Args:
        coefficients: function of `tensors` that returns a and b, float (time, batch, units), of this slice's steps.
        tensors: of floating dtypes, in whose terms the gradient is computed.
        initial: float (batch, units), h before the first step of the first slice; equal on all replicas.
        time_slice: of this replica.
        mask: bool (time, batch), or None. Where it is False h does not change.
        implementation: of the scan, a key of `tfpar.ops.affine_scan.IMPLEMENTATIONS`.

    Returns:
        float (time, batch, units), h of each step of this slice; and float (batch, units), h after the last step
        of the last slice, equal on all replicas.

    The gradients by `initial` of all replicas add up to the whole one, as those by weights do.
    """

    steps = _SliceSteps(coefficients, mask, implementation)

    @tf.custom_gradient
    def differentiable(initial, *tensors):
        local, products, ends = time_slice.compile(steps.scan_from_zero)(*tensors)
        maps = time_slice.gather(ends)
        states = _compose(maps, initial)
        before = states[time_slice.index]
        sequence = time_slice.compile(_add_begin)(local, products, before)

        def gradient(d_sequence, d_final):
            db, products, own_u = time_slice.compile(steps.scan_gradient)(d_sequence, *tensors)
            gathered = time_slice.gather([own_u, d_final])
            backward_maps = [(u, product) for (u, _), (_, product) in zip(gathered, maps, strict=True)]
            # dL/dh after each slice, from the last one on
            later = _compose(backward_maps[::-1], tf.add_n([d_final for _, d_final in gathered]))
            d_initial = later[-1] if time_slice.index == 0 else tf.zeros_like(initial)
            d_end = later[time_slice.count - 1 - time_slice.index]
            differentiate = time_slice.compile(steps.coefficient_gradient)
            return d_initial, *differentiate(db, products, d_end, sequence, before, *tensors)

        return (sequence, states[-1]), gradient

    return differentiable(initial, *tensors)


def _compose(maps: Sequence, begin: tf.Tensor) -> list[tf.Tensor]:
    """Return the states before each slice and after the last one, given (end from zero, product of factors) of each."""
    states = [begin]
    for end, product in maps:
        states.append(product * states[-1] + end)
    return states


def _add_begin(local: tf.Tensor, products: tf.Tensor, begin: tf.Tensor) -> tf.Tensor:
    return local + products * begin


@dataclasses.dataclass(frozen=True)
class _SliceSteps:
    """The computations of one slice between exchanges; arguments as those of `sliced_scan`."""

    coefficients: Callable[..., tuple[tf.Tensor, tf.Tensor]]
    mask: tf.Tensor | None
    implementation: str

    def masked_coefficients(self, *tensors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return a and b, 1 and 0 at masked steps."""
        a, b = self.coefficients(*tensors)
        if self.mask is None:
            return a, b
        is_valid = expand(self.mask, a)
        return tf.where(is_valid, a, tf.ones_like(a)), tf.where(is_valid, b, tf.zeros_like(b))

    def scan_from_zero(self, *tensors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, Tensors]:
        """Return s, p and their last steps."""
        a, b = self.masked_coefficients(*tensors)
        return scan_with_products(a, b, False, self.implementation)

    def scan_gradient(self, d_sequence: tf.Tensor, *tensors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return dL/db as if no slice came later, its derivative by the gradient that comes from there, and u.

        u is the gradient by h before the slice.
        """
        a, _ = self.masked_coefficients(*tensors)
        u, products, (first_u, _) = scan_with_products(a, a * d_sequence, True, self.implementation)
        db = d_sequence + shift(u, tf.zeros_like(first_u), True)
        return db, shift(products, tf.ones_like(first_u), True), first_u

    def coefficient_gradient(
        self,
        db: tf.Tensor,
        products: tf.Tensor,
        d_end: tf.Tensor,
        sequence: tf.Tensor,
        before: tf.Tensor,
        *tensors: tf.Tensor,
    ) -> Sequence[tf.Tensor]:
        """Return the gradients by `tensors`."""
        db = db + products * d_end
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            outputs = self.masked_coefficients(*tensors)
        output_gradients = (db * shift(sequence, before, False), db)
        return tape.gradient(outputs, tensors, output_gradients, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def scan_with_products(
    a: tf.Tensor, b: tf.Tensor, go_backwards: bool, implementation: str
) -> tuple[tf.Tensor, tf.Tensor, Tensors]:
    """Scan from zero, and compute the products of the factors.

    Args:
        a, b: float (time, batch, ...).
        go_backwards: start with the last step.
        implementation: a key of `tfpar.ops.affine_scan.IMPLEMENTATIONS`.

    Returns:
        s and p, float (time, batch, ...): s[t] = a[t] * s[t-1] + b[t] and p[t] = a[t] * p[t-1], from 0 and 1; and both
        after the step that is processed last.
    """
    zero = tf.ensure_shape(tf.zeros(tf.shape(a)[1:], a.dtype), a.shape[1:])
    if implementation == "sequential":
        return _sequential(a, b, (zero, tf.ones_like(zero)), go_backwards)
    scan = IMPLEMENTATIONS[implementation]
    pairs: Any = scan(
        tf.concat([a, a], axis=-1),
        tf.concat([b, tf.zeros_like(b)], axis=-1),
        tf.concat([zero, tf.ones_like(zero)], axis=-1),
        go_backwards,
    )
    (sequence, products), ends = (tf.split(pair, 2, axis=-1) for pair in pairs)
    return sequence, products, tuple(ends)


def _sequential(a, b, initial, go_backwards):
    """Run one loop over time for both."""
    steps = tf.shape(a)[0]

    def body(iteration, h, product, sequence, products):
        t = steps - 1 - iteration if go_backwards else iteration
        h, product = a[t] * h + b[t], a[t] * product
        h.set_shape(initial[0].shape)
        product.set_shape(initial[0].shape)
        return iteration + 1, h, product, sequence.write(t, h), products.write(t, product)

    stacks = [tf.TensorArray(b.dtype, steps, element_shape=initial[0].shape) for _ in range(2)]
    _, *ends, sequence, products = tf.while_loop(
        lambda iteration, *_: iteration < steps, body, (0, *initial, *stacks), maximum_iterations=steps
    )
    return *(tf.ensure_shape(stack.stack(), b.shape) for stack in (sequence, products)), tuple(ends)
