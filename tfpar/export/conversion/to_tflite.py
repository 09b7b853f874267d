"""Exports a model as a verified TFLite file.

Forms of a recurrence: "fused", one `UNIDIRECTIONAL_SEQUENCE_LSTM` (another cell is a loop, or in 8 bits unrolled);
"loop" over the steps; "unrolled"; "chunked", a loop over five unrolled steps. The last two need a static length.

The report on a file is {"format", "form", "form_reason", "path", "bytes", "ops", "signatures", "outputs" (names, in the
model's order), "max_abs_error" (to Keras in float32, over at most 32 inputs of each signature), "latency_ms":
{"median"} (of "serving_default")}; "renamed" where names differ from the model's; "note" for remarks; for "micro" also
"arena_bytes", the memory of the interpreter, "micro_max_abs_error", measured in TFLite Micro, and "c_array", the names
of two files beside it that contain it as a C array.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfpar.checks import check_one_of, check_positive_integer
from tfpar.cluster import outside_scope
from tfpar.errors import UserError
from tfpar.export.conversion.diagnosis import check_stateless
from tfpar.export.conversion.measured_file import MeasuredFile, measure_latencies
from tfpar.export.conversion.samples import sample_inputs
from tfpar.export.conversion.serving import ServingModel, renamed_names, serving_model
from tfpar.export.conversion.signatures import (
    DEFAULT,
    STEP,
    SequenceSignature,
    Signatures,
    StepSignature,
    choose_input_shapes,
)
from tfpar.export.formats import CALIBRATED, FORMATS, FORMS, FORMS_OF, MICRO_REASONS, TARGETS, Format
from tfpar.export.micro.c_array import write_c_array
from tfpar.export.micro.interpreter import check_micro
from tfpar.files import written_atomically
from tfpar.layers.call_context import PADDINGS

_NO_RECURRENCE = "the model has no recurrent layer"


@outside_scope()
def tflite(
    model: keras.Model | ServingModel,
    path: Path | str,
    quantize: str | None = None,
    calibration: Any = None,
    sequence_length: int | Sequence[int] | None = None,
    form: str = "auto",
    target: str = "phone",
    batch_size: int = 1,
    streaming: bool = False,
    tolerance: float | None = None,
    timeout_s: float = 600,
    padding: str = "any",
) -> dict[str, Any]:
    """Write a model as a TFLite file with builtin operations only, compared with the Keras model before it is written.

    Forms of a recurrence are "fused", "loop", "unrolled" and "chunked": see `tfpar.export.conversion.to_tflite`.
    Stock LSTM, GRU, SimpleRNN and Bidirectional are converted, too; all other layers are as Keras computes them.

    Args:
        model: a built model: functional, sequential, subclassed, or `tfpar.train.Model`.
        path: of the file; written only if its outputs are within the tolerance.
        quantize: None or "float32", "float16", "dynamic" (8-bit weights), "int8" (8-bit weights and activations),
            "int16x8" (8-bit weights, 16-bit activations).
        calibration: representative inputs, for int8 and int16x8 and for measuring: see
            `tfpar.export.conversion.samples.sample_inputs`. Without it the file is measured on random inputs.
        sequence_length: time steps of the file's inputs where the model leaves them open; default: the longest in
            `calibration`; without either, any length. Several lengths become signatures "length_N", which share
            weights; "serving_default" is the longest.
        form: of the recurrences: one of the above, or "auto", which goes by `target`.
        target: "phone" chooses the smallest form that is within the tolerance; "desktop" converts all forms and
            chooses the fastest on this machine; "micro" chooses the first that TFLite Micro runs, and the inputs and
            outputs of its int8 files are 8-bit integers.
        batch_size: rows of each call; a stateful model has its own.
        streaming: add a signature "step": a time step, or as many as the strides of convolutions and poolings, and the
            states "LAYER_h", "LAYER_c", "LAYER_history", ... to the outputs and the new states. Convolutions need
            padding="causal". A stateful model needs it.
        tolerance: the largest absolute difference of an output from Keras'; None: that of the format, relative to the
            output's largest value, see `FORMATS`.
        timeout_s: time limit of the converter, for each form, in seconds.
        padding: where steps may be masked: "any" or, for a cheaper fused form, "right", after all valid steps.

    Returns:
        The report on the file, an entry of manifest.json: see `tfpar.export.conversion.to_tflite`.

    Raises:
        UserError: `calibration` is missing; the form or streaming is not supported; the conversion failed.
        RefusedFileError: an output exceeds its tolerance.
        MissingExtraError: for "micro", tflite-micro is not installed.
        ValueError: an argument is out of range.
    """
    chosen = FORMATS[check_one_of("quantize", quantize or "float32", tuple(FORMATS))]
    for name, value, choices in (("form", form, FORMS), ("target", target, TARGETS), ("padding", padding, PADDINGS)):
        check_one_of(name, value, choices)
    check_positive_integer("batch_size", batch_size)
    serving = serving_model(model)
    lengths = _check_lengths(sequence_length)
    _check(serving, chosen, calibration, lengths, target, streaming)
    samples = sample_inputs(serving, calibration, max(lengths, default=None))
    signatures = _make_signatures(serving, batch_size, lengths, samples, calibration, streaming, padding)
    return write_signatures(signatures, path, chosen, form, target, tolerance, timeout_s)


def _check(serving, chosen, calibration, lengths, target, streaming):
    """Refuse combinations that cannot be converted."""
    _check_inputs(serving, chosen)
    if not streaming:
        check_stateless(serving)
    if target == "micro":
        check_micro(lengths, streaming)
    if chosen.name in CALIBRATED and calibration is None:
        raise UserError(f"quantize={chosen.name!r} needs `calibration`: a dataset of inputs like those of training.")


@outside_scope()
def write_signatures(
    signatures: Signatures,
    path: Path | str,
    chosen: Format,
    form: str = "auto",
    target: str = "phone",
    tolerance: float | None = None,
    timeout_s: float = 600,
) -> dict[str, Any]:
    """Write a file of several signatures, which may be of several models; equal weights are stored once.

    Args:
        signatures: by name. The latency is that of the first one.
        path, form, target, tolerance, timeout_s: see `tflite`.
        chosen: the format.

    Returns:
        The report, as of `tflite`.
    """
    files: dict[str, MeasuredFile] = {}
    failures: list[UserError] = []
    with contextlib.ExitStack() as stack:
        for signature in signatures.values():
            stack.enter_context(signature.model.cast_to_float32())
        for name in _choose_forms(signatures, chosen.name, form, target):
            try:
                file = MeasuredFile.convert(chosen, name, signatures, target, tolerance, timeout_s)
                files.setdefault(file.form, file)
            except UserError as error:
                failures.append(error)
            if files and target != "desktop":
                break
    if not files:
        raise failures[0]
    files = measure_latencies(files, signatures)
    best = min(files, key=lambda name: files[name].report["latency_ms"]["median"])
    with written_atomically(Path(path)) as temporary:
        temporary.write_bytes(files[best].content)
    report = {
        "format": chosen.name,
        "form": best,
        "form_reason": _explain_form(files, form, target) if _has_recurrence(signatures) else _NO_RECURRENCE,
        "path": str(path),
        "bytes": len(files[best].content),
        "signatures": sorted(signatures),
        "outputs": next(iter(signatures.values())).output_names,
        **renamed_names(signature.model for signature in signatures.values()),
        **files[best].report,
    }
    if best == "unrolled" and chosen.name in CALIBRATED and len(files[best].content) > _weights_bytes(signatures):
        report["note"] = (
            f"larger than the model's weights in float32 ({_weights_bytes(signatures):,} bytes), because the steps "
            "are unrolled. dynamic is smaller"
        )
    if target == "micro":
        report["c_array"] = write_c_array(Path(path), report["arena_bytes"], report["ops"])
    return report


def _check_lengths(sequence_length) -> list[int]:
    lengths = sequence_length if isinstance(sequence_length, Sequence) else [sequence_length]
    return sorted({check_positive_integer("sequence_length", length) for length in lengths if length is not None})


def _check_inputs(serving: ServingModel, chosen: Format) -> None:
    for name, tensor in zip(serving.input_names, serving.inputs, strict=True):
        if tensor.dtype == "string":
            raise UserError(
                f"the input {name!r} is text, which TFLite's builtin operations do not support. Export the model "
                "of token ids, keras.Model(vectorization.output, model.output), or use a SavedModel"
            )
        if chosen.name == "int16x8" and tf.as_dtype(tensor.dtype).is_integer:
            raise UserError(
                "quantize='int16x8' does not support integer inputs, which the converter cannot calibrate. Use int8"
            )


def _make_signatures(serving, batch_size, lengths, samples, calibration, streaming, padding):
    known = samples if lengths or calibration is not None else None
    if serving.stateful_layers:
        batch_size = serving.inputs[0].shape[0]
    longest = choose_input_shapes(serving, batch_size, max(lengths, default=None), known)
    signatures: Signatures = {DEFAULT: SequenceSignature(serving, longest, samples, padding)}
    for length in lengths if len(lengths) > 1 else ():
        shapes = choose_input_shapes(serving, batch_size, length, None)
        signatures[f"length_{length}"] = SequenceSignature(serving, shapes, samples, padding)
    if streaming:
        signatures[STEP] = steps = StepSignature(serving, longest, samples, padding)
        if steps.output_names == serving.output_names:
            raise UserError(
                f"{serving.name} has no layer with a state to carry between steps. Export it without streaming"
            )
    return signatures


def _weights_bytes(signatures) -> int:
    variables = {id(v): v for of in signatures.values() for v in of.model.functional.variables}
    return sum(4 * int(np.prod(v.shape)) for v in variables.values())


def _has_recurrence(signatures) -> bool:
    return any(signature.model.recurrent_layers for signature in signatures.values())


def _choose_forms(signatures, format_name, form, target) -> list[str]:
    """List the forms to try: the first within the tolerance is written or, for "desktop", the fastest."""
    is_open = any(signature.is_open for signature in signatures.values())
    possible = FORMS_OF.get(format_name, FORMS[1:])
    if form != "auto":
        if form not in possible:
            raise UserError(f"`form` must be one of {', '.join(possible)} for {format_name}; got {form!r}")
        if form in ("chunked", "unrolled") and is_open:
            raise UserError(f"form={form!r} needs a static number of time steps; give `sequence_length`")
        return [form]
    if not _has_recurrence(signatures):
        return [possible[0]]
    allowed = [name for name in possible if name in ("fused", "loop") or not is_open]
    return allowed[:2] if target == "phone" else allowed


def _explain_form(files, form, target):
    if form != "auto":
        return "it was requested"
    if target == "micro":
        return MICRO_REASONS[next(iter(files))]
    if target != "desktop":
        return f"the smallest form that the format allows, for target {target!r}"
    measured = ", ".join(f"{file.form} {file.report['latency_ms']['median']:.2f} ms" for file in files.values())
    return f"the fastest on this machine: {measured}"
