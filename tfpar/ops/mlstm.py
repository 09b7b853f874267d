"""The matrix LSTM with a sigmoid input gate, step by step and in chunks.

For each head, with q[t], k[t], v[t] and the preactivations of the gates i, f (a number each) and o projected from x[t]:

    C[t] = f C[t-1] + i k[t] v[t]^T                    matrix memory, (key size, value size)
    n[t] = f n[t-1] + i k[t]                           normalizer, (key size,)
    h[t] = o * (q[t] C[t] / sqrt(d)) / max(|q[t] n[t] / sqrt(d)|, 1),   d = key size

In a chunk of L steps, with F[i, j] = sum of log f over the steps j+1 ... i, and C the memory before the chunk:

    S[i, j] = q[i] k[j] / sqrt(d) * exp(F[i, j]) i[j] for j <= i, else 0
    q[i] C[i] / sqrt(d) = exp(F[i, 0]) q[i] C / sqrt(d) + sum over j of S[i, j] v[j]
    C' = exp(F[L, 0]) C + sum over j of exp(F[L, j]) i[j] k[j] v[j]^T

so a chunk is a few matmuls, and only C and n go from chunk to chunk, by an affine scan. F is a sum of numbers that are
not positive, so no exponential overflows and no running maximum is needed. n is the last column of C if v has a last
column of ones.

References:
    Beck et al. 2024, xLSTM, arXiv:2405.04517. Beck et al. 2025, Tiled flash linear attention, arXiv:2503.14376: the
    sigmoid input gate.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfpar.ops.activations import inference_softplus
from tfpar.ops.affine_scan import affine_scan
from tfpar.ops.recurrence import Recurrence, RecurrentWeights, Tensors


class Projections(NamedTuple):
    """What one step or all steps read of the input, by head; ... is (batch,) or (batch, time).

    Attributes:
        query, key: float (..., heads, key_size); the query is divided by the square root of `key_size`.
        value: float (..., heads, value_size + 1); its last column is one.
        input, log_forget: float (..., heads), the input gate and the logarithm of the forget gate.
        output: float (..., units), the output gate.
    """

    query: tf.Tensor
    key: tf.Tensor
    value: tf.Tensor
    input: tf.Tensor
    log_forget: tf.Tensor
    output: tf.Tensor


class MLSTM(Recurrence):
    """The recurrence of the module's equations. States: (h, C, n), C and n of all heads flattened.

    h is the output and does not enter the next step; it is a state so that masked steps can repeat it.

    Args:
        heads: number of heads.
        key_size, value_size: of each head.
    """

    name = "mlstm"
    num_gates = 4  # at most; see `projection_size`
    num_states = 3

    def __init__(self, heads: int, key_size: int, value_size: int):
        self.heads, self.key_size, self.value_size = heads, key_size, value_size

    @property
    def projection_size(self) -> int:
        """Features of x[t] W + b: queries, keys, values, output gates, input gates, forget gates."""
        return sum(self._sizes)

    @property
    def state_sizes(self) -> list[int]:
        """Number of features of each state."""
        keys = self.heads * self.key_size
        return [self.heads * self.value_size, keys * self.value_size, keys]

    @property
    def _sizes(self):
        keys, values = self.heads * self.key_size, self.heads * self.value_size
        return [keys, keys, values, values, self.heads, self.heads]

    def split(self, x_proj: tf.Tensor) -> Projections:
        """Split x[t] W + b, float (..., projection_size)."""
        q, k, v, o, i, f = tf.split(x_proj, self._sizes, axis=-1)
        q, k, v = (self._by_head(x) for x in (q, k, v))
        v = tf.concat([v, tf.ones_like(v[..., :1])], axis=-1)
        return Projections(q * self.key_size**-0.5, k, v, tf.sigmoid(i), -self.softplus(-f), tf.sigmoid(o))

    softplus = staticmethod(tf.math.softplus)

    def _by_head(self, tensor):
        steps = [size or tf.shape(tensor)[1] for size in tensor.shape[1:-1]]  # none for one step
        return tf.reshape(tensor, [-1, *steps, self.heads, tensor.shape[-1] // self.heads])

    def join_memory(self, states: Tensors) -> tf.Tensor:
        """Return C with n as its last column: float (batch, heads, key_size, value_size + 1)."""
        _, c, n = states
        c = tf.reshape(c, [-1, self.heads, self.key_size, self.value_size])
        return tf.concat([c, tf.reshape(n, [-1, self.heads, self.key_size, 1])], axis=-1)

    def split_memory(self, memory: tf.Tensor) -> Tensors:
        """Invert `join_memory`: C and n, flattened."""
        c, n = memory[..., :-1], memory[..., -1]
        return tf.reshape(c, [-1, self.state_sizes[1]]), tf.reshape(n, [-1, self.state_sizes[2]])

    def step(
        self, x_proj: tf.Tensor, states: Tensors, weights: RecurrentWeights, dropout: tf.Tensor | None
    ) -> tuple[Tensors, Tensors]:
        p = self.split(x_proj)
        update = p.key[..., :, None] * (p.input[..., None] * p.value)[..., None, :]
        memory = tf.exp(p.log_forget)[..., None, None] * self.join_memory(states) + update
        h = _normalize(tf.matmul(p.query[..., None, :], memory)[..., 0, :])
        return (p.output * tf.reshape(h, [-1, self.state_sizes[0]]), *self.split_memory(memory)), ()

    def for_interpreter(self) -> "MLSTM":
        return _InferenceMLSTM(self.heads, self.key_size, self.value_size)


class _InferenceMLSTM(MLSTM):
    """The recurrence of operations that TFLite has; its gradient would be wrong at zero."""

    softplus = staticmethod(inference_softplus)


def chunkwise_mlstm(
    recurrence: MLSTM,
    x_proj: tf.Tensor,
    initial_states: Tensors,
    mask: tf.Tensor | None = None,
    chunk: int = 64,
    implementation: str = "sequential",
    has_gradient: bool = True,
    scan: Callable | None = None,
) -> tuple[tf.Tensor, Tensors]:
    """Run an mLSTM through time, the steps of each chunk in parallel.

    Args:
        recurrence: heads and sizes.
        x_proj: float (batch, time, projection_size), x[t] W + b of all steps.
        initial_states: h, C and n before the first step.
        mask: bool (batch, time), or None. Where it is False the states do not change.
        chunk: steps of a chunk.
        implementation: of the scan over chunks: a key of `tfpar.ops.affine_scan.IMPLEMENTATIONS`.
        has_gradient: see `affine_scan`.
        scan: instead of `affine_scan`, with its arguments a, b, initial and mask, for steps that are a slice of the
            sequence; then there is a mask.

    Returns:
        float (batch, time, units), h of each step; and the states after the last.
    """
    steps = x_proj.shape[1] or tf.shape(x_proj)[1]
    if x_proj.shape[1] is not None:
        chunk = max(1, min(chunk, steps))
    p = recurrence.split(x_proj)
    if mask is not None:
        valid = mask[:, :, None]
        p = p._replace(
            input=tf.where(valid, p.input, tf.zeros_like(p.input)),
            log_forget=tf.where(valid, p.log_forget, tf.zeros_like(p.log_forget)),
        )
    chunks = _Chunks(steps, chunk)
    # (batch, heads, chunks, chunk, ...): matmuls over the last two axes. Filled steps have i = 0 and log f = 0.
    query, key, value, gate, log_forget = map(chunks.split, (p.query, p.key, p.value, p.input, p.log_forget))
    decay, since_start = _decays(log_forget, chunk)
    weights = decay * gate[..., None, :]  # exp(F[i, j]) i[j]
    updates = tf.matmul(key * weights[..., -1, :, None], value, transpose_a=True)
    hold = scan or functools.partial(affine_scan, implementation="associative", has_gradient=has_gradient)
    over_chunks = scan or functools.partial(affine_scan, implementation=implementation, has_gradient=has_gradient)
    initial = recurrence.join_memory(initial_states)
    memory, final = _scan_memory(since_start[..., -1], updates, initial, over_chunks, is_slice=scan is not None)
    within = tf.matmul(tf.matmul(query, key, transpose_b=True) * weights, value)
    h = _normalize(within + since_start[..., None] * tf.matmul(query, memory))
    h = p.output * tf.reshape(chunks.join(h), [-1, steps, recurrence.state_sizes[0]])
    h, last = _hold(h, initial_states[0], mask, hold)
    return h, (last, *recurrence.split_memory(final))


class _Chunks(NamedTuple):
    """Splits (batch, time, heads, ...) into (batch, heads, chunks, chunk, ...), filled with zeros, and back."""

    steps: int | tf.Tensor
    size: int

    @property
    def count(self):
        return -(-self.steps // self.size)

    def split(self, tensor):
        heads, *rest = tensor.shape[2:]
        tensor = tf.pad(tensor, [[0, 0], [0, self.count * self.size - self.steps], *[[0, 0]] * (1 + len(rest))])
        tensor = tf.reshape(tensor, [-1, self.count, self.size, heads, *rest])
        return tf.transpose(tensor, [0, 3, 1, 2, *range(4, 4 + len(rest))])

    def join(self, tensor):
        tensor = tf.transpose(tensor, [0, 2, 3, 1, 4])
        return tf.reshape(tensor, [-1, self.count * self.size, *tensor.shape[3:]])[:, : self.steps]


def _decays(log_forget, chunk):
    """Return exp(F[i, j]) for j <= i, else 0, float (..., chunk, chunk); and exp(F[i, 0]), float (..., chunk).

    F is summed by a matmul with a triangle of ones: a difference of two cumulative sums would be off by rounding errors
    of the sums.
    """
    triangle = tf.constant(np.tri(chunk), log_forget.dtype)
    strict = tf.constant(np.tri(chunk, k=-1), log_forget.dtype)
    terms = log_forget[..., None] * strict
    sums = tf.matmul(tf.broadcast_to(triangle, tf.shape(terms)), terms)
    from_start = tf.matmul(log_forget[..., None, :], triangle, transpose_b=True)[..., 0, :]
    return tf.exp(sums) * triangle, tf.exp(from_start)


def _scan_memory(decay, updates, initial, scan, is_slice):
    """Return the memory before each chunk, float (batch, heads, chunks, key_size, value_size + 1), and the last one."""
    b = tf.transpose(updates, [2, 0, 1, 3, 4])
    a = tf.ones_like(b) * tf.transpose(decay, [2, 0, 1])[..., None, None]
    if is_slice:  # a first chunk that does not change the memory, since other replicas know what is before
        first = tf.zeros_like(initial[None])
        a, b = tf.concat([first + 1, a], axis=0), tf.concat([first, b], axis=0)
    after, final = scan(a, b, initial)
    before = after[:-1] if is_slice else tf.concat([initial[None], after], axis=0)[:-1]
    return tf.transpose(before, [1, 2, 0, 3, 4]), final


def _normalize(h):
    """Divide by the last column: max(|q n|, 1)."""
    return h[..., :-1] / tf.maximum(tf.abs(h[..., -1:]), 1.0)


def _hold(h, initial, mask, scan):
    """Repeat h of the last valid step at masked steps; return it, and h of the last step."""
    if mask is None:
        return h, tf.concat([initial[:, None], h], axis=1)[:, -1]
    h = tf.transpose(h, [1, 0, 2])
    held, last = scan(tf.zeros_like(h), h, initial, mask=tf.transpose(mask))
    return tf.transpose(held, [1, 0, 2]), last
