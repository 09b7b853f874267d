"""What a recurrent layer answers at steps that a mask hides, and sequences reversed within their own length."""

import tensorflow as tf


def mask_outputs(sequence: tf.Tensor, mask: tf.Tensor, zero_output_for_mask: bool) -> tf.Tensor:
    """Gives Keras' outputs at masked steps: zeros, or the last valid output, which is zeros before the first valid step.

    Args:
        sequence: float (time, batch, units), h of each step, carried over masked ones.
        mask: bool (time, batch).
        zero_output_for_mask: zeros at every masked step.

    Returns:
        float (time, batch, units).
    """
    shown = mask if zero_output_for_mask else tf.cumsum(tf.cast(mask, tf.int32), axis=0) > 0
    return tf.where(shown[:, :, None], sequence, tf.zeros_like(sequence))


def mask_last_output(last: tf.Tensor, mask: tf.Tensor, zero_output_for_mask: bool) -> tf.Tensor:
    """`mask_outputs` of the last step alone, from its h: float (batch, units)."""
    shown = mask[-1] if zero_output_for_mask else tf.reduce_any(mask, axis=0)
    return tf.where(shown[:, None], last, tf.zeros_like(last))


def reverse_valid(tensor: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Reverses each row of (batch, time, ...) within its first `lengths` steps, and leaves its padding where it is."""
    return tf.reverse_sequence(tensor, lengths, seq_axis=1)


def valid_lengths(mask: tf.Tensor) -> tf.Tensor:
    """Number of valid steps of each row: int32 (batch,) from bool (batch, time), right-padded."""
    return tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)


def last_valid(sequence: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """The step at `lengths - 1` of each row of (batch, time, units); zeros for a row of length 0."""
    last = tf.gather(sequence, tf.maximum(lengths - 1, 0), axis=1, batch_dims=1)
    return last * tf.cast(lengths > 0, last.dtype)[:, None]
