"""The affine scan h[t] = a[t] * h[t-1] + b[t] of sequences that are divided over replicas.

The steps of a slice compose to one affine map, h_end = A h_begin + B. So each replica

1. composes its steps to A and B, without storing the steps between;
2. gathers A and B of all slices, and composes those before its own to h_begin;
3. scans its steps from h_begin.

The gradient is the same in the other direction. Each direction has one exchange of (batch, 2 * units) numbers for each
slice, whatever the number of steps (as LASP-2 does for linear attention, Sun et al. 2025, arXiv:2502.07563).
"""

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfpar.ops.affine_scan import IMPLEMENTATIONS, expand, shift
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

    @time_slice.differentiable
    def differentiable(initial, *tensors):
        own_map, a, b = time_slice.compile(steps.compose)(*tensors)
        maps = time_slice.gather(own_map)
        states = _compose(maps, initial)
        # The first slice knows its state, but scans after the exchange, for which the others wait.
        with tf.control_dependencies(tf.nest.flatten(maps)):
            before = tf.identity(states[time_slice.index])
        sequence = time_slice.compile(steps.scan)(before, a, b)

        def gradient(d_sequence, d_final):
            own_u = time_slice.compile(steps.compose_gradient)(d_sequence, *tensors)
            gathered = time_slice.gather([own_u, d_final])
            backward_maps = [(u, product) for (u, _), (_, product) in zip(gathered, maps, strict=True)]
            # dL/dh after each slice, from the last one on
            later = _compose(backward_maps[::-1], tf.add_n([d_final for _, d_final in gathered]))
            d_initial = later[-1] if time_slice.index == 0 else tf.zeros_like(initial)
            d_end = later[time_slice.count - 1 - time_slice.index]
            differentiate = time_slice.compile(steps.scan_gradient)
            return d_initial, *differentiate(d_sequence, d_end, sequence, before, *tensors)

        return (sequence, states[-1]), gradient

    return differentiable(initial, *tensors)


def _compose(maps: Sequence, begin: tf.Tensor) -> list[tf.Tensor]:
    """Return the states before each slice and after the last one, given (end from zero, product of factors) of each."""
    states = [begin]
    for end, product in maps:
        states.append(product * states[-1] + end)
    return states


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

    def compose(self, *tensors: tf.Tensor) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        """Return [B, A], and the coefficients of the steps."""
        a, b = self.masked_coefficients(*tensors)
        return [self._scan(a, b, _zeros_of_step(a))[1], tf.reduce_prod(a, axis=0)], a, b

    def scan(self, before: tf.Tensor, a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        """Return h[t] of this slice, given h before it."""
        return self._scan(a, b, before)[0]

    def compose_gradient(self, d_sequence: tf.Tensor, *tensors: tf.Tensor) -> tf.Tensor:
        """Return the gradient by h before the slice, as if no slice came later."""
        a, _ = self.masked_coefficients(*tensors)
        return self._scan(a, a * d_sequence, _zeros_of_step(a), go_backwards=True)[1]

    def scan_gradient(
        self,
        d_sequence: tf.Tensor,
        d_end: tf.Tensor,
        sequence: tf.Tensor,
        before: tf.Tensor,
        *tensors: tf.Tensor,
    ) -> Sequence[tf.Tensor]:
        """Return the gradients by `tensors`, given the one that comes from later slices."""
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            a, _ = outputs = self.masked_coefficients(*tensors)
        # dL/db[t] = dL/dh[t] + a[t+1] dL/db[t+1]: one tensor less than by the gradients before each step.
        db, _ = self._scan(shift(a, tf.ones_like(d_end), True), d_sequence, d_end, go_backwards=True)
        output_gradients = (db * shift(sequence, before, False), db)
        return tape.gradient(outputs, tensors, output_gradients, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    def _scan(self, a, b, initial, go_backwards=False):
        return IMPLEMENTATIONS[self.implementation](a, b, initial, go_backwards)


def _zeros_of_step(a):
    return tf.ensure_shape(tf.zeros(tf.shape(a)[1:], a.dtype), a.shape[1:])
