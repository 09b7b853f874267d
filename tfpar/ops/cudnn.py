"""The LSTM and the GRU by cuDNN's operation: weights in its layout, and batches of sequences of different lengths.

cuDNN computes, with two biases for each gate and the gates in this order,

    LSTM    i, f, g, o      c[t] = f * c[t-1] + i * g,          h[t] = o * tanh(c[t])
    GRU     r, z, n         n = tanh(x[t] W_n + b_n + r * (h[t-1] U_n + b_rn)),   h[t] = z * h[t-1] + (1 - z) * n

and reads its weights from one flat buffer: the input matrices of all gates, each (units, features), their recurrent
matrices, each (units, units), their biases of the projection, and their biases of the recurrence.

References:
    NVIDIA, cuDNN API: cudnnRNNMode_t (the equations), cudnnGetRNNWeightParams (the order), cudnnSetRNNDataDescriptor
    (the lengths).
"""

from typing import NamedTuple, TypeGuard

import tensorflow as tf

from tfpar.ops.gru import GRU
from tfpar.ops.lstm import LSTM
from tfpar.ops.masking import valid_lengths
from tfpar.ops.recurrence import Recurrence, RecurrentWeights, Tensors


class _Mode(NamedTuple):
    """cuDNN's name of a recurrence, and the indices of its gates among ours."""

    name: str
    gates: tuple[int, ...]


_MODES = {LSTM: _Mode("lstm", (0, 1, 2, 3)), GRU: _Mode("gru", (1, 0, 2))}


def is_supported(recurrence: Recurrence) -> TypeGuard[GRU | LSTM]:
    """Whether cuDNN computes this recurrence, if its activations are tanh and sigmoid."""
    return type(recurrence) in _MODES


def can_run(inputs: tf.Tensor, mask: tf.Tensor | None) -> bool | tf.Tensor:
    """Whether cuDNN can run this batch: it is not empty, and its padding is on the right.

    Args:
        inputs: float (batch, time, features).
        mask: bool (batch, time), or None.

    Returns:
        A Python bool if the static shapes suffice, else a scalar tensor.
    """
    size = inputs.shape[:2].num_elements()
    if size == 0:
        return False
    if mask is not None:
        return (tf.size(inputs) > 0) & tf.reduce_all(mask[:, :-1] | ~mask[:, 1:])
    return tf.size(inputs) > 0 if size is None else True


def pack_weights(
    recurrence: Recurrence, kernel: tf.Tensor, bias: tf.Tensor | None, weights: RecurrentWeights
) -> tf.Tensor:
    """Pack weights into cuDNN's buffer.

    Args:
        recurrence: an LSTM or a GRU with `reset_after`.
        kernel: float (features, gates * units).
        bias: float (gates * units,), or None for zeros.
        weights: the recurrent weights.

    Returns:
        float (gates * units * (features + units + 2),).
    """
    order = _MODES[type(recurrence)].gates

    def flatten(tensor):
        gates = tf.split(tensor, len(order), axis=-1)
        return tf.reshape(tf.transpose(tf.concat([gates[index] for index in order], axis=-1)), [-1])

    zeros = tf.zeros_like(kernel[0])
    biases = [zeros if b is None else b for b in (bias, weights.bias)]
    return tf.concat([flatten(tensor) for tensor in (kernel, weights.kernel, *biases)], axis=0)


def run_operation(
    mode: str, inputs: tf.Tensor, states: Tensors, packed: tf.Tensor, lengths: tf.Tensor
) -> tuple[tf.Tensor, Tensors]:
    """Run cuDNN, differentiable in all arguments except `mode` and `lengths`.

    Args:
        mode: "lstm" or "gru".
        inputs: float (time, batch, features).
        states: float (batch, units) each, before the first step: (h, c) or (h,).
        packed: from `pack_weights`.
        lengths: int32 (batch,), from 1 to time; steps from that index on are not run.

    Returns:
        float (time, batch, units), h of each step, zero from `lengths` on; and the states after each row's last step.
    """
    h, *cell = states
    # Time is the first axis, since only then does cuDNN use its faster algorithms for rows of equal lengths.
    # is_training=True gives the operation a gradient; with dropout zero it has no other effect.
    sequence, h, c, _, _ = tf.raw_ops.CudnnRNNV3(
        input=inputs,
        input_h=h[None],
        input_c=cell[0][None] if cell else tf.zeros((), inputs.dtype),
        params=packed,
        sequence_lengths=lengths,
        rnn_mode=mode,
        is_training=True,
        time_major=True,
    )
    return sequence, (h[0], c[0]) if cell else (h[0],)


def cudnn_rnn(
    recurrence: Recurrence,
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    bias: tf.Tensor | None,
    initial_states: Tensors,
    weights: RecurrentWeights,
    mask: tf.Tensor | None = None,
    go_backwards: bool = False,
) -> tuple[tf.Tensor, Tensors]:
    """Run a recurrence with tanh and sigmoid over all steps.

    Args:
        recurrence: an LSTM or a GRU with `reset_after`.
        inputs: float (time, batch, features), in order of time.
        kernel: float (features, gates * units).
        bias: float (gates * units,), or None.
        initial_states: `recurrence.num_states` tensors, float (batch, units).
        weights: the recurrent weights.
        mask: bool (time, batch), or None. Each row is True up to its length, which may be zero, and False after it.
        go_backwards: process each row from its last valid step to its first.

    Returns:
        float (time, batch, units), h of each step, and at masked steps the last h; and the states after the valid step
        that is processed last.
    """

    def run(inputs, lengths):
        packed = pack_weights(recurrence, kernel, bias, weights)
        return run_operation(_MODES[type(recurrence)].name, inputs, initial_states, packed, lengths)

    if mask is None:
        steps, batch = tf.unstack(tf.shape(inputs)[:2])
        sequence, states = run(tf.reverse(inputs, [0]) if go_backwards else inputs, tf.fill([batch], steps))
        return tf.reverse(sequence, [0]) if go_backwards else sequence, states
    valid = valid_lengths(tf.transpose(mask))
    # cuDNN needs at least one step in each row. Results of a row without steps are replaced below.
    lengths = tf.maximum(valid, 1)
    # Zeros at masked steps, so that their gradient is zero whatever cuDNN writes there.
    inputs = tf.where(mask[:, :, None], inputs, tf.zeros_like(inputs))
    sequence, states = run(_reverse_rows(inputs, lengths) if go_backwards else inputs, lengths)
    if go_backwards:
        sequence = _reverse_rows(sequence, lengths)
    pairs = zip(states, initial_states, strict=True)
    states = tuple(tf.where(valid[:, None] > 0, state, initial) for state, initial in pairs)
    return tf.where(mask[:, :, None], sequence, states[0]), states


def _reverse_rows(sequence, lengths):
    """Reverse the first `lengths` steps of each row of (time, batch, units)."""
    return tf.reverse_sequence(sequence, lengths, seq_axis=0, batch_axis=1)
