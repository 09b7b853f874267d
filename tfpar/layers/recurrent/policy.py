"""The choice of a kernel, with the reason for it."""

from typing import NamedTuple

from keras import activations

from tfpar.layers.call_context import call_context
from tfpar.layers.recurrent import placement
from tfpar.layers.recurrent.crossovers import find_crossover
from tfpar.ops import cudnn
from tfpar.ops.gru import GRU
from tfpar.ops.linear_recurrence import LinearRecurrence
from tfpar.ops.lstm import LSTM
from tfpar.ops.mlstm import MLSTM
from tfpar.ops.newton import DiagonalRecurrence
from tfpar.ops.recurrence import Recurrence

_UNLESS_CONVERGED = "a loop runs if Newton's iterations do not converge"


class Choice(NamedTuple):
    """A key of `tfpar.layers.recurrent.kernels.KERNELS`, and the reason for it."""

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
    evaluation: str = "auto",
) -> Choice:
    """Choose the kernel for a layer's call in the current `CallContext`.

    Args:
        recurrence: the layer's recurrence.
        steps: number of steps, if it is static.
        unroll: the layer's `unroll`.
        has_initial_states: the call has initial states, or the layer is stateful.
        returns_states: the states after the last step are needed.
        obstacle_to_cudnn: reason why cuDNN cannot run the layer here, or None. Exports never contain cuDNN's operation,
            since they would not load without a GPU.
        evaluation: the layer's `evaluation`.
    """
    target = call_context().export_target
    if unroll:
        return Choice("unrolled", "unroll=True was given")
    may_be_parallel = target in (None, "saved_model") or call_context().export_form == "fused"
    if isinstance(recurrence, LinearRecurrence) and may_be_parallel:
        return _choose_scan(recurrence.name, steps, evaluation)
    if isinstance(recurrence, MLSTM) and may_be_parallel:
        return _choose_chunkwise(steps, evaluation)
    if isinstance(recurrence, DiagonalRecurrence) and target is None:
        return _choose_newton(recurrence.name, steps, evaluation)
    if target is not None:
        return _choose_for_export(recurrence, steps, has_initial_states or returns_states)
    if evaluation == "newton":
        return Choice("quasi_newton", f"evaluation='newton' was given; {_UNLESS_CONVERGED}")
    if obstacle_to_cudnn is not None:
        return Choice("training_loop", obstacle_to_cudnn)
    return Choice("cudnn", "the device is a GPU; batches that are not right-padded run by the training loop")


def _choose_for_export(recurrence: Recurrence, steps: int | None, needs_states: bool) -> Choice:
    target, form = call_context().export_target, call_context().export_form
    if steps == 1:
        return Choice("unrolled", "one step needs no loop")
    if target == "saved_model":
        return Choice("loop", "a SavedModel needs no gradient and runs on any device")
    if form != "fused":
        return Choice(form, f"the form {form!r} was chosen")
    obstacle = _obstacle_to_fusing(recurrence, needs_states)
    if obstacle is None:
        return Choice("fused", "TFLite has one operation for a whole LSTM")
    if target == "tflite_int8":
        return Choice("unrolled", f"{obstacle}, and the converter cannot calibrate loops")
    return Choice("loop", obstacle)


def _choose_scan(name: str, steps: int | None, evaluation: str) -> Choice:
    """Choose the implementation of `tfpar.ops.affine_scan` for a linear recurrence."""
    target = call_context().export_target
    if evaluation == "sequential":
        return Choice("sequential_scan" if target is None else "loop", "evaluation='sequential' was given")
    if target not in (None, "saved_model"):
        if steps is None:
            return Choice("loop", "the number of steps is unknown")
        return Choice(
            "associative_scan", "the recurrence is linear in its state, so a file needs no loop over the steps"
        )
    device = "CPU" if target == "saved_model" else placement.device_type()
    crossover = find_crossover(name, device)
    # The table is for programs of XLA. Without it a loop has a cost for each operation.
    if target is None and placement.within_xla() and evaluation == "auto" and not crossover.is_reached(steps):
        return Choice("sequential_scan", f"{crossover} of a linear recurrence under XLA")
    if device != "CPU":
        return Choice(
            "associative_scan", f"the recurrence is linear in its state, and a {device} runs all steps at once"
        )
    if steps is None or target == "saved_model":
        return Choice("chunked_scan", "the recurrence is linear in its state, so chunks of steps run side by side")
    return Choice("associative_scan", "the recurrence is linear in its state, and without XLA a loop would take longer")


def _choose_newton(name: str, steps: int | None, evaluation: str) -> Choice:
    if evaluation == "newton":
        return Choice("newton", f"evaluation='newton' was given; {_UNLESS_CONVERGED}")
    if evaluation == "sequential":
        return Choice("diagonal_loop", "evaluation='sequential' was given")
    crossover = find_crossover(name, placement.device_type())
    if crossover.is_reached(steps):
        return Choice("newton", f"{crossover}; {_UNLESS_CONVERGED}")
    return Choice("diagonal_loop", str(crossover))


def _choose_chunkwise(steps: int | None, evaluation: str) -> Choice:
    target = call_context().export_target
    if evaluation == "sequential":
        return Choice("training_loop" if target is None else "loop", "evaluation='sequential' was given")
    if steps is None and target not in (None, "saved_model"):
        return Choice("loop", "the number of steps is unknown")
    if steps == 1:
        return Choice("unrolled", "one step needs no loop")
    return Choice("chunkwise", "the steps of a chunk are a few matmuls")


def obstacle_to_cudnn_anywhere(recurrence: Recurrence, *, unroll: bool, drops_states: bool) -> str | None:
    """Return the reason why cuDNN cannot run a layer on any device, or None.

    Args:
        recurrence: the layer's recurrence.
        unroll: the layer's `unroll`.
        drops_states: the layer has recurrent dropout.
    """
    if unroll:
        return "unroll=True was given"
    if isinstance(recurrence, GRU) and not cudnn.is_supported(recurrence):
        return "cuDNN has only the GRU of reset_after=True"
    if not cudnn.is_supported(recurrence):
        return "cuDNN's operation is for the LSTM and the GRU"
    if not _has_standard_activations(recurrence):
        return "cuDNN supports only tanh and sigmoid"
    return "cuDNN has no recurrent dropout" if drops_states else None


def obstacle_to_cudnn_here(dtype: str) -> str | None:
    """Return the reason why cuDNN cannot run a layer of this compute dtype here, or None."""
    device = placement.device_type()
    if device != "GPU":
        return f"the device is a {device}"
    if placement.is_rocm():
        return "the GPU is AMD's"
    if dtype == "bfloat16" and not placement.has_bfloat16():
        return "cuDNN needs a GPU of compute capability 8.0 for bfloat16"
    return "XLA compiles the step, and cuDNN is not part of XLA" if placement.within_xla() else None


def _obstacle_to_fusing(recurrence: Recurrence, needs_states: bool) -> str | None:
    if not isinstance(recurrence, LSTM):
        return "TFLite has a fused operation only for the LSTM"
    if not _has_standard_activations(recurrence):
        return "TFLite's fused LSTM supports only tanh and sigmoid"
    return "TFLite's fused LSTM neither takes nor returns states" if needs_states else None


def _has_standard_activations(recurrence: GRU | LSTM) -> bool:
    functions = (recurrence.activation.function, recurrence.recurrent_activation.function)
    return functions == (activations.tanh, activations.sigmoid)
