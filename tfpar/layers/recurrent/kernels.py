"""Which code runs a recurrence here, and why: the policy, and the kernels behind one signature.

A kernel takes a `Job` and returns a `Result`. `choose` looks at the layer's job and at what is being done with the
model and names one of them, with the reason.
"""

import contextvars
import dataclasses
import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf
from keras import activations

from tfpar.contexts import variable_set
from tfpar.layers.recurrent import placement
from tfpar.ops import cudnn
from tfpar.ops.fused_lstm import fused_lstm
from tfpar.ops.gru import GRU
from tfpar.ops.inference_loop import chunked_loop, inference_loop, unrolled_loop
from tfpar.ops.lstm import LSTM
from tfpar.ops.masking import mask_last_output, mask_outputs, pack_right_padded, pack_valid_steps, take_steps
from tfpar.ops.recurrence import PairedWeights, Recurrence, RecurrentWeights, Tensors, project
from tfpar.ops.time_loop import time_loop

# What a recurrence can be in a file, and the kernel that makes it so.
FORMS = {"fused": "fused", "loop": "inference", "chunked": "chunked", "unrolled": "unrolled"}

PADDINGS = ("any", "right")  # where masked steps may stand


class _Export(NamedTuple):
    target: str | None = None
    form: str = "fused"
    padding: str = "any"


_NO_EXPORT = _Export()
_export = contextvars.ContextVar("export", default=_NO_EXPORT)


def exporting(target: str, form: str = "fused", padding: str = "any"):
    """Within this context layers choose kernels for a model that is being exported.

    Args:
        target: "saved_model", or for a TFLite file "tflite_int8" (all is 8-bit, which takes calibration),
            "tflite_float16" (constants are) or "tflite".
        form: one of `FORMS`, for TFLite. What cannot be fused is then a loop or, in 8 bits, unrolled.
        padding: "any", or "right" where masked steps never precede valid ones, which the fused form then runs faster.
    """
    return variable_set(_export, _Export(target, form, padding))


def is_exporting(*targets: str) -> bool:
    """Whether a model is being exported to one of these targets."""
    return _export.get().target in targets


def is_exporting_file() -> bool:
    """Whether a model is being exported to a TFLite file, of any format."""
    return _export.get().target not in (None, "saved_model")


@dataclasses.dataclass(frozen=True)
class Job:
    """All that a kernel needs to run one layer once.

    Attributes:
        recurrence: what one step computes.
        inputs: float (batch, time, features), input dropout applied.
        kernel: float (features, gates * units).
        bias: float (gates * units,), or None.
        weights: the recurrent weights.
        initial_states: float (batch, units) each, or None for zeros.
        mask: bool (batch, time), or None.
        dropout: float (batch, units), recurrent dropout, or None.
        go_backwards: process the steps in reverse order.
        returns_sequence: the outputs of all steps are asked for.
        zero_output_for_mask: see `tfpar.ops.masking.mask_outputs`.
        unroll: write the steps out instead of looping.
        continues: the initial states are those in which an earlier part of the same sequence ended.
    """

    recurrence: Recurrence
    inputs: tf.Tensor
    kernel: tf.Tensor
    bias: tf.Tensor | None
    weights: RecurrentWeights
    initial_states: Tensors | None
    mask: tf.Tensor | None
    dropout: tf.Tensor | None
    go_backwards: bool
    returns_sequence: bool
    zero_output_for_mask: bool
    unroll: bool
    continues: bool = False


class Result(NamedTuple):
    """Attributes:
    sequence: float (batch, time, units), outputs in order of time; it may be None if it was not asked for.
    last: float (batch, units), that of the step processed last.
    states: float (batch, units) each, after the valid step processed last.
    """

    sequence: tf.Tensor | None
    last: tf.Tensor
    states: Tensors


class Choice(NamedTuple):
    """A kernel's name and the reason for it."""

    kernel: str
    reason: str


def choose(
    recurrence: Recurrence,
    *,
    steps: int | None,
    unroll: bool,
    has_initial_states: bool,
    returns_states: bool,
    obstacle_to_cudnn: str | None,
) -> Choice:
    """Picks the kernel for a layer, from what it computes and what is being done with the model.

    Args:
        recurrence: what one step computes.
        steps: how many there are, if that is known.
        unroll: the layer's `unroll`.
        has_initial_states: the call was given initial states, or the layer is stateful.
        returns_states: the caller wants the states after the last step.
        obstacle_to_cudnn: why cuDNN cannot run the layer here, or None. Files never contain cuDNN's operation, or they
            would not load where there is no GPU.
    """
    target, form, _ = _export.get()
    if unroll:
        return Choice("unrolled", "unroll=True was asked for")
    if steps == 1 and target is not None:
        return Choice("unrolled", "one step needs no loop")
    if target is None and obstacle_to_cudnn is None:
        return Choice("cudnn", "the device is a GPU; batches whose padding is not at the right take the loop")
    if target is None:
        return Choice("loop", obstacle_to_cudnn)
    if target == "saved_model":
        return Choice("inference", "a SavedModel needs no gradient and runs on any device")
    if form != "fused":
        return Choice(FORMS[form], f"the form {form!r} was chosen")
    obstacle = _obstacle_to_fusing(recurrence, has_initial_states or returns_states)
    if obstacle is None:
        return Choice("fused", "TFLite has one operation for a whole LSTM")
    if target == "tflite_int8":
        return Choice("unrolled", f"{obstacle}, and it cannot calibrate loops")
    return Choice("inference", obstacle)


def obstacle_to_cudnn_anywhere(recurrence: Recurrence, *, unroll: bool, drops_states: bool) -> str | None:
    """Says why cuDNN can run a layer on no device, or returns None.

    Args:
        recurrence: what one step computes.
        unroll: the layer's `unroll`.
        drops_states: there is recurrent dropout.
    """
    if unroll:
        return "unroll=True was asked for"
    if isinstance(recurrence, GRU) and not cudnn.is_supported(recurrence):
        return "cuDNN's GRU is the one of reset_after=True"
    if not cudnn.is_supported(recurrence):
        return "cuDNN's operation is for the LSTM and the GRU"
    if not _has_standard_activations(recurrence):
        return "cuDNN knows only tanh and sigmoid"
    return "cuDNN knows no recurrent dropout" if drops_states else None


def obstacle_to_cudnn_here(dtype: str) -> str | None:
    """Says why cuDNN can run no layer that computes in `dtype` where this is called, or returns None."""
    device = placement.device_type()
    if device != "GPU":
        return f"the device is a {device}"
    if placement.is_rocm():
        return "the GPU is AMD's"
    if dtype == "bfloat16" and not placement.has_bfloat16():
        return "cuDNN needs a GPU of compute capability 8.0 for bfloat16"
    return "XLA compiles the step, and cuDNN is not part of XLA" if placement.within_xla() else None


def _obstacle_to_fusing(recurrence, shares_states) -> str | None:
    if not isinstance(recurrence, LSTM):
        return "TFLite has a fused operation for the LSTM alone"
    if not _has_standard_activations(recurrence):
        return "TFLite's fused LSTM knows only tanh and sigmoid"
    return "TFLite's fused LSTM keeps its states to itself" if shares_states else None


def _has_standard_activations(recurrence) -> bool:
    functions = (recurrence.activation.function, recurrence.recurrent_activation.function)
    return functions == (activations.tanh, activations.sigmoid)


def run(choice: Choice, job: Job) -> Result:
    """Runs the chosen kernel."""
    return _KERNELS[choice.kernel](job)


def can_run_in_one_loop(choices: list[Choice], jobs: list[Job]) -> bool:
    """Whether two layers, which run in a file, can do so in one loop.

    Not in chunks: what an interpreter packs of the matrices of ten matmuls fits no cache.
    """
    (choice, other_choice), (job, other) = choices, jobs
    equal_weights = (job.weights.kernel.shape, job.inputs.dtype) == (other.weights.kernel.shape, other.inputs.dtype)
    in_loops = choice.kernel == other_choice.kernel == "inference"
    return in_loops and equal_weights and job.recurrence.equals(other.recurrence)


def run_in_one_loop(jobs: list[Job]) -> list[Result]:
    """Run two layers that `can_run_in_one_loop` on the same sequences, with the states of both in one batch.

    What an interpreter takes for a turn of a loop, and for each operation but the matmul, it then takes once for both.
    """
    turned = [_from_first_step(job) for job in jobs]
    projections, states, weights, masks = zip(*(_loop_arguments(job, job.bias) for job in turned), strict=True)
    sequence, states = inference_loop(
        jobs[0].recurrence.for_interpreter(),
        tf.concat(projections, axis=1),
        tuple(tf.concat(of_both, axis=0) for of_both in zip(*states, strict=True)),
        PairedWeights(*weights),
        None if masks[0] is None else tf.concat(masks, axis=1),
        returns_sequence=jobs[0].returns_sequence,
    )
    sequences = [None, None] if sequence is None else tf.split(sequence, 2, axis=1)
    states = zip(*(tf.split(state, 2) for state in states), strict=True)
    results = (_shown(*each) for each in zip(turned, sequences, states, masks, strict=True))
    return [_in_order_of_time(result, job) for result, job in zip(results, jobs, strict=True)]


def _loop_arguments(job: Job, bias: tf.Tensor | None):
    """What a loop over time takes behind the recurrence; inputs are projected, with `bias`, for all steps at once."""
    inputs = tf.transpose(job.inputs, [1, 0, 2])
    mask = None if job.mask is None else tf.transpose(job.mask)
    return project(inputs, job.kernel, bias), _initial_states(job), job.weights, mask


def _looped(loop: Callable, job: Job, bias: tf.Tensor | None) -> Result:
    """Hands a job to a loop over time."""
    recurrence = job.recurrence.for_interpreter() if is_exporting_file() else job.recurrence
    *arguments, mask = _loop_arguments(job, bias)
    return _shown(job, *loop(recurrence, *arguments, mask), mask)


def _turned(kernel: Callable[[Job], Result]) -> Callable[[Job], Result]:
    """A kernel that begins with the first step, for jobs of either direction: steps are reversed before and after."""
    return lambda job: _in_order_of_time(kernel(_from_first_step(job)), job)


def _from_first_step(job: Job) -> Job:
    """The job with its steps reversed, if it begins with the last one."""
    if not job.go_backwards:
        return job
    mask = None if job.mask is None else tf.reverse(job.mask, [1])
    return dataclasses.replace(job, inputs=tf.reverse(job.inputs, [1]), mask=mask, go_backwards=False)


def _in_order_of_time(result: Result, job: Job) -> Result:
    """What `_from_first_step` of the job gave, for the job itself."""
    if result.sequence is None or not job.go_backwards:
        return result
    return result._replace(sequence=tf.reverse(result.sequence, [1]))


def _initial_states(job: Job) -> Tensors:
    batch = job.inputs.shape[0] or tf.shape(job.inputs)[0]
    zeros = tf.zeros((batch, job.weights.kernel.shape[0]), job.inputs.dtype)
    return job.initial_states or (zeros,) * job.recurrence.num_states


def _shown(job: Job, sequence, states, mask) -> Result:
    """What a loop over time gave. From zero states, steps that are masked at the start show zeros as it is, and in a
    later part of a sequence the last valid output."""
    shows_states = (job.initial_states is None or job.continues) and not job.zero_output_for_mask
    return _answer(job, sequence, states, None if shows_states else mask)


def _answer(job: Job, sequence, states, mask) -> Result:
    """Shows at masked steps what Keras does. `sequence` and `mask` have time first, and its order."""
    last = states[0] if mask is None else mask_last_output(states[0], mask, job.zero_output_for_mask, job.go_backwards)
    if not job.returns_sequence:
        return Result(None, last, states)
    if mask is not None:
        sequence = mask_outputs(sequence, mask, job.zero_output_for_mask, job.go_backwards)
    sequence = tf.transpose(sequence, [1, 0, 2])
    sequence.set_shape([*job.inputs.shape[:2], sequence.shape[-1]])  # not ensure_shape, which TFLite does not know
    return Result(sequence, last, states)


def _loop(job: Job) -> Result:
    """Runs the loop; on a GPU as an XLA program of its own, unless it is part of one. A step with cuDNN is none."""

    def loop(*arguments):
        return time_loop(
            *arguments,
            dropout=job.dropout,
            bias=job.bias,
            go_backwards=job.go_backwards,
            returns_sequence=job.returns_sequence,
        )

    if tf.executing_eagerly() or placement.within_xla() or placement.device_type() != "GPU":
        return _looped(loop, job, bias=None)
    return tf.function(lambda: _looped(loop, job, bias=None), jit_compile=True, autograph=False)()


def _unrolled(job: Job) -> Result:
    return _looped(functools.partial(unrolled_loop, dropout=job.dropout), job, job.bias)


def _inference(job: Job) -> Result:
    return _looped(functools.partial(inference_loop, returns_sequence=job.returns_sequence), job, job.bias)


def _chunked(job: Job) -> Result:
    return _looped(functools.partial(chunked_loop, returns_sequence=job.returns_sequence), job, job.bias)


def _cudnn(job: Job) -> Result:
    """Runs cuDNN's operation if it can run the batch, else the loop. That is known only once the batch is there, and
    then only the one that is taken runs."""
    can_run = cudnn.can_run(job.inputs, job.mask)
    if isinstance(can_run, bool):
        return _by_cudnn(job) if can_run else _loop(job)
    return tf.cond(can_run, lambda: _by_cudnn(job), lambda: _loop(job))


def _by_cudnn(job: Job) -> Result:
    mask = None if job.mask is None else tf.transpose(job.mask)
    sequence, states = cudnn.cudnn_rnn(
        job.recurrence,
        tf.transpose(job.inputs, [1, 0, 2]),
        job.kernel,
        job.bias,
        _initial_states(job),
        job.weights,
        mask,
        job.go_backwards,
    )
    return _answer(job, sequence, states, mask)


def _fused(job: Job) -> Result:
    """Runs the operation that TFLite has for a whole LSTM, which has no mask input and one direction.

    A masked step does not change the state, so each row's valid steps are moved to the front, in the order in which
    they are processed, and the outputs are moved back. Each output of the operation is used once, or the converter
    would not quantize it.
    """
    bias = tf.zeros(job.kernel.shape[-1:], job.kernel.dtype) if job.bias is None else job.bias

    def run_forward(inputs):
        return fused_lstm(job.recurrence, inputs, job.kernel, job.weights, bias)

    if job.mask is None and job.go_backwards:
        return _turned(_fused)(job)
    if job.mask is None:
        sequence = run_forward(job.inputs)
        return Result(sequence, sequence[:, -1], ())
    pack = pack_right_padded if _export.get().padding == "right" else pack_valid_steps
    packing = pack(job.mask, job.go_backwards)
    packed = run_forward(job.inputs if packing.order is None else take_steps(job.inputs, packing.order))
    is_shown = job.mask if job.zero_output_for_mask else packing.is_visible
    last_is_shown = is_shown[:, :1] if job.go_backwards else is_shown[:, -1:]
    last = tf.where(last_is_shown, take_steps(packed, packing.total - 1)[:, 0], 0.0)
    sequence = tf.where(is_shown[:, :, None], take_steps(packed, packing.position), 0.0)
    return Result(sequence, last, ())


_KERNELS = {
    "loop": _loop,
    "cudnn": _cudnn,
    "unrolled": _turned(_unrolled),
    "inference": _turned(_inference),
    "chunked": _turned(_chunked),
    "fused": _fused,
}
