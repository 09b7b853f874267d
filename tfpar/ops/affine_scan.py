"""The affine scan h[t] = a[t] * h[t-1] + b[t], which evaluates linear recurrences, with its gradient.

| implementation | steps that depend on each other | multiplications | use |
|---|---|---|---|
| sequential | T | T | one loop over time, with the least memory traffic |
| chunked | T / 64 + 2 * 64 | 3 T | two loops over the steps of all chunks at once, one loop over chunks between them |
| associative | 2 log2 T | 3 T | no loop: GPUs, TPUs, TFLite files |

Affine maps compose to an affine map, so they can be grouped in any way (Blelloch 1990, Prefix sums and their
applications). The gradient is one affine scan in the other direction, without logarithms or divisions:

    u[t] = a[t] * (dh[t] + u[t+1])        db[t] = dh[t] + u[t+1]        da[t] = db[t] * h[t-1]        dh[0] = u[1]
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf


class Algebra(NamedTuple):
    """Products of the linear maps of a scan.

    Attributes:
        apply: maps (a, h) to a h.
        compose: maps (a[t], a[t-1]) to a[t] a[t-1].
    """

    apply: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    compose: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


DIAGONAL = Algebra(tf.multiply, tf.multiply)

# Matrices for each unit: a is (..., n, n, units), h is (..., n, units).
BLOCKS = Algebra(
    lambda a, h: tf.reduce_sum(a * h[..., None, :, :], axis=-2),
    lambda a, b: tf.reduce_sum(a[..., :, :, None, :] * b[..., None, :, :, :], axis=-3),
)

Scan = Callable[..., tuple[tf.Tensor, tf.Tensor]]

CHUNK = 64  # steps


def affine_scan(
    a: tf.Tensor,
    b: tf.Tensor,
    initial: tf.Tensor,
    *,
    mask: tf.Tensor | None = None,
    resets: tf.Tensor | None = None,
    go_backwards: bool = False,
    implementation: str = "sequential",
    has_gradient: bool = True,
    returns_sequence: bool = True,
) -> tuple[tf.Tensor | None, tf.Tensor]:
    """Compute h[t] = a[t] * h[t-1] + b[t] for all t, differentiable in `a`, `b` and `initial`.

    float16 and bfloat16 are accumulated in float32.

    Args:
        a: float (time, batch, ...), the factors; any number of steps, also zero.
        b: float, of the shape and dtype of `a`.
        initial: float (batch, ...), h before the step that is processed first.
        mask: bool (time, batch), or None. Where it is False h does not change, even if `a` or `b` is NaN.
        resets: bool (time, batch), or None. Where it is True h[t] = b[t], as at the start of a sequence, so that one
            row can hold several sequences.
        go_backwards: start with the last step: h[t] = a[t] * h[t+1] + b[t].
        implementation: a key of `IMPLEMENTATIONS`.
        has_gradient: False for exported files, which cannot contain the gradient.
        returns_sequence: False saves the gradient a sequence of zeros.

    Returns:
        float (time, batch, ...), h of each step, or None; and float (batch, ...), h after the step that is processed
        last.

    Raises:
        ValueError: there is no such implementation, or the shapes do not match.
    """
    a, b, initial = map(tf.convert_to_tensor, (a, b, initial))
    _check(a, b, initial, implementation)
    dtype = a.dtype
    if dtype.size < 4:
        a, b, initial = (tf.cast(tensor, tf.float32) for tensor in (a, b, initial))
    if resets is not None:
        a = tf.where(expand(resets, a), tf.zeros_like(a), a)
    if mask is not None:
        a, b = tf.where(expand(mask, a), a, tf.ones_like(a)), tf.where(expand(mask, b), b, tf.zeros_like(b))
    scan = IMPLEMENTATIONS[implementation]
    if has_gradient:
        scan = functools.partial(_differentiable_scan, scan, returns_sequence=returns_sequence)
    sequence, final = scan(a, b, initial, go_backwards)
    return tf.cast(sequence, dtype) if returns_sequence else None, tf.cast(final, dtype)


def _check(a, b, initial, implementation):
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(f"`implementation` must be one of {', '.join(IMPLEMENTATIONS)}; got {implementation!r}.")
    if not a.shape.is_compatible_with(b.shape):
        raise ValueError(f"`b` must have the shape of `a`, {a.shape}; got {b.shape}. Broadcast it.")
    if not a.shape[1:].is_compatible_with(initial.shape):
        raise ValueError(f"`initial` must have the shape of a step of `a`, {a.shape[1:]}; got {initial.shape}.")


def expand(condition: tf.Tensor, tensor: tf.Tensor) -> tf.Tensor:
    """Add axes to bool (time, batch), so that it broadcasts to float (time, batch, ...)."""
    return tf.reshape(condition, [*tf.unstack(tf.shape(condition)), *[1] * (tensor.shape.rank - 2)])


def _differentiable_scan(scan: Scan, a, b, initial, go_backwards, returns_sequence=True):
    @tf.custom_gradient
    def differentiable(a, b, initial):
        sequence, final = scan(a, b, initial, go_backwards)

        def gradient(*d_outputs):
            *d_sequence, d_final = d_outputs
            d_later = a * d_sequence[0] if d_sequence else tf.zeros_like(a)
            u, d_initial = _differentiable_scan(scan, a, d_later, d_final, not go_backwards)
            db = shift(u, d_final, not go_backwards)
            db = db + d_sequence[0] if d_sequence else db
            return db * shift(sequence, initial, go_backwards), db, d_initial

        return ((sequence, final) if returns_sequence else final), gradient

    outputs = differentiable(a, b, initial)
    return outputs if returns_sequence else (None, outputs)


def shift(sequence: tf.Tensor, initial: tf.Tensor, go_backwards: bool) -> tf.Tensor:
    """Return the value before each step, in the order of processing: (time, ...) from (time, ...) and (...)."""
    if go_backwards:
        return tf.concat([sequence[1:], initial[None]], axis=0)[: tf.shape(sequence)[0]]
    return tf.concat([initial[None], sequence[:-1]], axis=0)[: tf.shape(sequence)[0]]


def sequential_scan(
    a: tf.Tensor, b: tf.Tensor, initial: tf.Tensor, go_backwards: bool, algebra: Algebra = DIAGONAL
) -> tuple[tf.Tensor, tf.Tensor]:
    """Run one loop over time. Arguments and results are those of `affine_scan`, without a gradient."""
    steps = tf.shape(a)[0]

    def body(iteration, h, sequence):
        t = steps - 1 - iteration if go_backwards else iteration
        h = algebra.apply(a[t], h) + b[t]
        h.set_shape(initial.shape)
        return iteration + 1, h, sequence.write(t, h)

    sequence = tf.TensorArray(b.dtype, steps, element_shape=initial.shape)
    _, final, sequence = tf.while_loop(
        lambda iteration, *_: iteration < steps, body, (0, initial, sequence), maximum_iterations=steps
    )
    return tf.ensure_shape(sequence.stack(), b.shape), final


def chunked_scan(
    a: tf.Tensor, b: tf.Tensor, initial: tf.Tensor, go_backwards: bool, chunk: int = CHUNK
) -> tuple[tf.Tensor, tf.Tensor]:
    """Compose the steps of each chunk, scan over the chunks, and then over the steps from each chunk's initial h.

    The number of iterations is the smallest of the implementations with loops: each handles one step of all chunks.
    """
    steps = tf.shape(a)[0]
    chunks = (steps + chunk - 1) // chunk
    filling = chunks * chunk - steps
    first, second, *rest = range(a.shape.rank + 1)

    def split(tensor, value):
        tensor = tf.pad(tensor, [[0, filling], *[[0, 0]] * len(rest)], constant_values=value)  # h does not change
        tensor = tf.reshape(tensor, [chunks, chunk, *tf.unstack(tf.shape(tensor)[1:])])
        tensor.set_shape([None, chunk, *a.shape[1:]])
        return tf.transpose(tensor, [second, first, *rest])

    a_steps, b_steps = split(a, 1), split(b, 0)

    def compose(iteration, a_chunk, b_chunk):
        t = chunk - 1 - iteration if go_backwards else iteration
        return iteration + 1, a_steps[t] * a_chunk, a_steps[t] * b_chunk + b_steps[t]

    identity = (tf.ones_like(a_steps[0]), tf.zeros_like(a_steps[0]))
    _, chunk_a, chunk_b = tf.while_loop(
        lambda iteration, *_: iteration < chunk, compose, (0, *identity), maximum_iterations=chunk
    )
    ends, final = sequential_scan(chunk_a, chunk_b, initial, go_backwards)
    sequence, _ = sequential_scan(a_steps, b_steps, shift(ends, initial, go_backwards), go_backwards)
    sequence = tf.reshape(tf.transpose(sequence, [second, first, *rest]), [-1, *tf.unstack(tf.shape(a)[1:])])[:steps]
    return tf.ensure_shape(sequence, a.shape), final


def associative_scan(
    a: tf.Tensor, b: tf.Tensor, initial: tf.Tensor, go_backwards: bool, algebra: Algebra = DIAGONAL
) -> tuple[tf.Tensor, tf.Tensor]:
    """Run the scan in logarithmic depth; arguments and results are those of `affine_scan`, without a gradient.

    A static number of steps needs no loop and 3 T multiplications; an unknown one, a loop of log2 T iterations over all
    steps.
    """
    if go_backwards:
        a, b = tf.reverse(a, [0]), tf.reverse(b, [0])
    if a.shape[0] == 0:
        return b, initial
    b = tf.concat([algebra.apply(a[:1], initial[None]) + b[:1], b[1:]], axis=0)  # h[1], whatever a[1] is
    sequence = (_doubling if a.shape[0] is None else _odd_even_reduction)(a, b, algebra)
    final = tf.concat([initial[None], sequence], axis=0)[-1] if a.shape[0] is None else sequence[-1]
    return tf.reverse(sequence, [0]) if go_backwards else sequence, final


def _odd_even_reduction(a, b, algebra):
    """Compose pairs of steps, scan over the pairs, and fill in the steps between (Brent & Kung 1982)."""
    steps, pairs = a.shape[0], a.shape[0] // 2
    if pairs == 0:
        return b
    even_a, odd_a, even_b, odd_b = a[0::2], a[1::2], b[0::2], b[1::2]
    pair_a, pair_b = algebra.compose(odd_a, even_a[:pairs]), algebra.apply(odd_a, even_b[:pairs]) + odd_b
    odd = _odd_even_reduction(pair_a, pair_b, algebra)
    even = tf.concat([even_b[:1], algebra.apply(even_a[1:], odd[: steps - 1 - pairs]) + even_b[1:]], axis=0)
    interleaved = tf.stack([even[:pairs], odd], axis=1)
    interleaved = tf.reshape(interleaved, [2 * pairs, *_sizes(b)[1:]])
    return interleaved if steps == 2 * pairs else tf.concat([interleaved, even[pairs:]], axis=0)


def _doubling(a, b, algebra):
    """Compose each step with the one 1, 2, 4, ... steps before it (Hillis & Steele 1986)."""
    steps = tf.shape(a)[0]

    def body(shift, a, b):
        earlier_a, earlier_b = tf.roll(a, shift, axis=0), tf.roll(b, shift, axis=0)
        composed = algebra.compose(a, earlier_a), algebra.apply(a, earlier_b) + b
        return 2 * shift, *(select_from(shift, new, old) for new, old in zip(composed, (a, b), strict=True))

    def select_from(first, new, old):
        """Select rows of `new` from an index on."""
        index = tf.reshape(tf.range(steps), [-1, *[1] * (old.shape.rank - 1)])
        return tf.ensure_shape(tf.where(index >= first, new, old), old.shape)

    return tf.while_loop(lambda shift, *_: shift < steps, body, (1, a, b))[2]


def _sizes(tensor):
    return [size or tf.shape(tensor)[axis] for axis, size in enumerate(tensor.shape)]


IMPLEMENTATIONS: dict[str, Scan] = {
    "sequential": sequential_scan,
    "chunked": chunked_scan,
    "associative": associative_scan,
}
