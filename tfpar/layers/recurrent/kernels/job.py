"""The common signature of kernels: a `Job` in, a `Result` out."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tfpar.ops.recurrence import Recurrence, RecurrentWeights, Tensors


@dataclasses.dataclass(frozen=True)
class Job:
    """One call of one layer.

    Attributes:
        recurrence: one step.
        inputs: float (batch, time, features), after input dropout.
        kernel: float (features, gates * units).
        bias: float (gates * units,), or None.
        weights: the recurrent weights.
        state_sizes: units of each state.
        initial_states: float (batch, units) each, or None for zeros.
        mask: bool (batch, time), or None.
        dropout: float (batch, units), the recurrent dropout mask, or None.
        go_backwards: process the steps in reverse order.
        returns_sequence: the outputs of all steps are needed.
        zero_output_for_mask: see `tfpar.ops.masking.mask_outputs`.
        unroll: unroll the steps instead of looping over them.
        is_continuation: the initial states are the final states of an earlier part of the same sequence.
    """

    recurrence: Recurrence
    inputs: tf.Tensor
    kernel: tf.Tensor
    bias: tf.Tensor | None
    weights: RecurrentWeights
    state_sizes: tuple[int, ...]
    initial_states: Tensors | None
    mask: tf.Tensor | None
    dropout: tf.Tensor | None
    go_backwards: bool
    returns_sequence: bool
    zero_output_for_mask: bool
    unroll: bool
    is_continuation: bool = False


class Result(NamedTuple):
    """Outputs and final states of a job.

    Attributes:
        sequence: float (batch, time, units), outputs in order of time; may be None unless `returns_sequence`.
        last: float (batch, units), the output of the step that is processed last.
        states: float (batch, units) each, after the valid step that is processed last.
    """

    sequence: tf.Tensor | None
    last: tf.Tensor
    states: Tensors


Kernel = Callable[[Job], Result]
