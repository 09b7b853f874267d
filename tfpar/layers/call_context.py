"""The call context: settings that layers read while they are called or traced, beside the arguments of `call`.

| fields | set within | read by |
|---|---|---|
| export_target, export_form, export_padding | `exporting` | kernel policy, fused kernel, `LogMelSpectrogram`, ... |
| first_row | `rows_begin_at` | dropout and augmentation, by `first_row` |
| streams | `tfpar.layers.recurrent.streaming.streamed` | recurrent layers |
| time_slice | `tfpar.train.sequence_sharding.SequenceStrategy` | recurrent layers, dropout of steps |
"""

import contextlib
import contextvars
import dataclasses
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from tfpar.contexts import variable_set
from tfpar.ops.time_slice import TimeSlice

if TYPE_CHECKING:
    from tfpar.layers.recurrent.streaming import Streams

FORMS = ("fused", "loop", "chunked", "unrolled")  # of a recurrence in a TFLite file; each is a kernel's name

PADDINGS = ("any", "right")  # positions of masked steps


@dataclasses.dataclass(frozen=True)
class CallContext:
    """Settings of the code that calls a model.

    Attributes:
        export_target: "saved_model", "tflite", "tflite_float16" or "tflite_int8" while a model is exported; else None.
        export_form: one of `FORMS`, for TFLite.
        export_padding: one of `PADDINGS`, for TFLite.
        first_row: int32 scalar, the index in the global batch of the batch's first row; None: the replica implies it.
        streams: the states of recurrent layers while a model is called on a part of a sequence; else None.
        time_slice: steps of the sequences that this replica has; None: all.
    """

    export_target: str | None = None
    export_form: str = "fused"
    export_padding: str = "any"
    first_row: int | tf.Tensor | None = None
    streams: "Streams | None" = None
    time_slice: TimeSlice | None = None


_DEFAULT = CallContext()
_context = contextvars.ContextVar("call_context", default=_DEFAULT)


def call_context() -> CallContext:
    """Return the context that holds here."""
    return _context.get()


def call_context_with(**changes: Any) -> contextlib.AbstractContextManager[None]:
    """Within this context, `call_context()` has these fields changed."""
    return variable_set(_context, dataclasses.replace(_context.get(), **changes))


def exporting(target: str, form: str = "fused", padding: str = "any") -> contextlib.AbstractContextManager[None]:
    """Within this context, layers choose kernels for a model that is being exported.

    Args:
        target: "saved_model", or for a TFLite file "tflite_int8" (8-bit weights and activations, with calibration),
            "tflite_float16" (16-bit constants) or "tflite".
        form: one of `FORMS`, for TFLite. A recurrence without a fused operation becomes a loop or, in 8 bits, unrolled.
        padding: "any", or "right" if masked steps never precede valid ones, which makes the fused form faster.
    """
    return call_context_with(export_target=target, export_form=form, export_padding=padding)


def is_exporting(*targets: str) -> bool:
    """Whether a model is being exported to one of these targets."""
    return _context.get().export_target in targets


def is_exporting_file() -> bool:
    """Whether a model is being exported to a TFLite file of any format."""
    return _context.get().export_target not in (None, "saved_model")


def rows_begin_at(index: int | tf.Tensor) -> contextlib.AbstractContextManager[None]:
    """Within this context, the first row of a batch has this index in the global batch, an int32 scalar."""
    return call_context_with(first_row=index)


def first_row(rows: int | tf.Tensor) -> int | tf.Tensor:
    """Return the index in the global batch of the first row of this replica's batch.

    Args:
        rows: number of rows of the batch; replicas have equal numbers unless `rows_begin_at` sets the index.
    """
    if (index := _context.get().first_row) is not None:
        return index
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return 0
    return tf.get_static_value(context.replica_id_in_sync_group) * rows
