"""Outputs at masked steps, and sequences packed or reversed within their own length."""

from typing import NamedTuple

import tensorflow as tf


def mask_outputs(
    sequence: tf.Tensor, mask: tf.Tensor, zero_output_for_mask: bool, go_backwards: bool = False
) -> tf.Tensor:
    """Replace outputs at masked steps as Keras does: by zeros, or by the last valid output (zeros before the first).

    Args:
        sequence: float (time, batch, units), h of each step, copied forward over masked ones.
        mask: bool (time, batch).
        zero_output_for_mask: zeros at every masked step.
        go_backwards: the last step is processed first.

    Returns:
        float (time, batch, units).
    """
    is_visible = mask if zero_output_for_mask else tf.cumsum(tf.cast(mask, tf.int32), axis=0, reverse=go_backwards) > 0
    return tf.where(is_visible[:, :, None], sequence, tf.zeros_like(sequence))


def mask_last_output(
    last: tf.Tensor, mask: tf.Tensor, zero_output_for_mask: bool, go_backwards: bool = False
) -> tf.Tensor:
    """Apply `mask_outputs` to the step that is processed last, given its h: float (batch, units)."""
    is_visible = mask[0 if go_backwards else -1] if zero_output_for_mask else tf.reduce_any(mask, axis=0)
    return tf.where(is_visible[:, None], last, tf.zeros_like(last))


def valid_lengths(mask: tf.Tensor) -> tf.Tensor:
    """Count the valid steps of each row: int32 (batch,) from bool (batch, time), right-padded."""
    return tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)


def first_masked_steps(mask: tf.Tensor) -> tf.Tensor:
    """Compute `valid_lengths` by an argmin over ones and zeros: TFLite Micro has no sum of integers."""
    valid = tf.pad(tf.cast(mask, tf.float32), [[0, 0], [0, 1]])  # a zero after the end of a row without padding
    return tf.argmin(valid, axis=1, output_type=tf.int32)


def take_steps(sequence: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """Gather the steps of (batch, time, units) at indices int32 (batch, n); for a negative index the first step.

    `tf.reverse_sequence` and slices of unknown size have no 8-bit kernels in TFLite. There is no upper bound, since the
    converter turns a clip to 0 ... 6 into a ReLU6, which has no kernel for integers.
    """
    return tf.gather(sequence, tf.maximum(steps, 0), axis=1, batch_dims=1)


class Packing(NamedTuple):
    """The valid steps of each row, moved to the front in the order in which they are processed.

    Attributes:
        order: int32 (batch, time), the step at each packed position; None: no step moves. Positions from `total` on
            hold any step.
        position: int32 (batch, time), the packed position of each step's output: its own, or that of the valid step
            before a masked one.
        is_visible: bool (batch, time), whether a step's output is that of a valid step; before the first it is not.
        total: int32 (batch, 1), number of valid steps.
    """

    order: tf.Tensor | None
    position: tf.Tensor
    is_visible: tf.Tensor
    total: tf.Tensor


def pack_right_padded(mask: tf.Tensor, go_backwards: bool) -> Packing:
    """Pack right-padded rows: forward no step moves, backward each row is reversed."""
    total, step = first_masked_steps(mask)[:, None], tf.range(tf.shape(mask)[1])[None, :]
    if go_backwards:
        return Packing(total - 1 - step, total - 1 - step, mask, total)
    return Packing(None, tf.minimum(step, total - 1), tf.broadcast_to(total > 0, tf.shape(mask)), total)


def pack_valid_steps(mask: tf.Tensor, go_backwards: bool) -> Packing:
    """Pack rows with masked steps anywhere, by the cumulative sum of the mask. The batch is static."""
    valid = tf.cast(mask, tf.int32)
    count, steps = tf.cumsum(valid, axis=1), tf.shape(mask)[1]
    total = count[:, -1:]
    rank = total - count if go_backwards else count - 1
    # Masked steps get one position after the last, which is cut off.
    rows = tf.broadcast_to(tf.range(mask.shape[0])[:, None], tf.shape(mask))
    index = tf.stack([rows, tf.where(mask, rank, steps)], axis=-1)
    step = tf.broadcast_to(tf.range(steps)[None, :], tf.shape(mask))
    order = tf.scatter_nd(index, step, tf.stack([mask.shape[0], steps + 1]))[:, :steps]
    processed = total - count + valid if go_backwards else count
    return Packing(order, processed - 1, processed > 0, total)
