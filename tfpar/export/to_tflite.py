"""`tflite`: one model, one format, one verified file."""

from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from tfpar.checks import check_one_of, check_positive_integer
from tfpar.errors import UserError
from tfpar.export.c_array import write_c_array
from tfpar.export.formats import CALIBRATED, FORMATS, FORMS, FORMS_OF, MICRO_REASONS, TARGETS, Format
from tfpar.export.full_precision import in_float32
from tfpar.export.measured_file import MeasuredFile, timed_in_turn
from tfpar.export.micro import check_micro
from tfpar.export.samples import sample_inputs
from tfpar.export.signatures import (
    DEFAULT,
    STEP,
    Sequences,
    Signatures,
    Steps,
    recurrent_layers,
    shapes_of,
)
from tfpar.files import written_atomically


def tflite(
    model: keras.Model,
    path: Path | str,
    quantize: str | None = None,
    calibration=None,
    sequence_length: int | Sequence[int] | None = None,
    form: str = "auto",
    target: str = "phone",
    batch_size: int = 1,
    streaming: bool = False,
    tolerance: float | None = None,
    timeout_s: float = 600,
) -> dict:
    """Writes a model as a TFLite file, with builtin operations only, and measures it.

    Forms of a recurrence: "fused", one `UNIDIRECTIONAL_SEQUENCE_LSTM` (another cell is a loop, or in 8 bits unrolled);
    "loop" over the steps; "unrolled", the steps written out; "chunked", a loop over five unrolled steps. The last two
    need a static length. Where the input is masked, padding must stand at the right.

    Args:
        model: a built functional model.
        path: of the file; written only if it passes.
        quantize: None or "float32", "float16", "dynamic" (8-bit weights), "int8" (8-bit weights and activations),
            "int16x8" (8-bit weights, 16-bit activations).
        calibration: representative inputs, for int8 and int16x8 and for measuring: see
            `tfpar.export.samples.sample_inputs`. Without it the file is measured on random inputs.
        sequence_length: time steps of the file's inputs where the model leaves them open; default: the longest in
            `calibration`; without either, any length. Several lengths become signatures "length_N", which share
            weights; "serving_default" is the longest.
        form: one of the above, or "auto", which goes by `target`.
        target: "phone" takes the fused operation, the smallest file; "desktop" makes all forms and takes the one that
            is fastest on this machine; "micro" takes the first that TFLite Micro runs, and there an int8 file takes and
            gives 8-bit numbers.
        batch_size: rows of each call.
        streaming: add a signature "step": one time step and the states "LAYER_h" (and "LAYER_c") to the outputs
            after it and the new states.
        tolerance: how far an output may be from Keras'; None: as far as the format allows, see `FORMATS`.
        timeout_s: what the converter may take, for each form.

    Returns:
        {"format", "form", "form_reason", "path", "bytes", "ops", "signatures", "max_abs_error" (to Keras in float32,
        over at most 32 inputs of each signature), "latency_ms": {"median"} (of "serving_default")}; for "micro" also
        "arena_bytes", the memory that it needs, and "micro_max_abs_error", measured in TFLite Micro, and "c_array", the
        names of two files that are written beside it: it as a C array.

    Raises:
        UserError: a format that needs `calibration` has none; the model cannot take the form, or be streamed; the
            conversion failed; the file strays further than its format may; TFLite Micro cannot run it.
        MissingExtraError: for "micro", tflite-micro is not installed.
        ValueError: an argument is out of range.
    """
    chosen = FORMATS[check_one_of("quantize", quantize or "float32", tuple(FORMATS))]
    check_one_of("form", form, FORMS)
    check_one_of("target", target, TARGETS)
    check_positive_integer("batch_size", batch_size)
    if chosen.name == "int16x8" and any(tf.as_dtype(tensor.dtype).is_integer for tensor in model.inputs):
        raise UserError("quantize='int16x8' cannot be had for integer inputs: the converter calibrates none; use int8.")
    lengths = _checked_lengths(sequence_length)
    if target == "micro":
        _check_micro(lengths, streaming)
    if chosen.name in CALIBRATED and calibration is None:
        raise UserError(f"quantize={chosen.name!r} needs `calibration`: a dataset of inputs like those of training.")
    samples = sample_inputs(model, calibration, max(lengths, default=None))
    signatures = _signatures(model, batch_size, lengths, samples, calibration is not None, streaming)
    return write_signatures(signatures, path, chosen, form, target, tolerance, timeout_s)


def write_signatures(
    signatures: Signatures,
    path: Path | str,
    chosen: Format,
    form: str = "auto",
    target: str = "phone",
    tolerance: float | None = None,
    timeout_s: float = 600,
) -> dict:
    """Writes a file that can be asked for several things, which may be of several models; they share equal weights.

    Args:
        signatures: by name. The latency is that of the first one.
        path, form, target, tolerance, timeout_s: see `tflite`.
        chosen: the format.

    Returns:
        As `tflite`.
    """
    files, failures = {}, []
    for name in _forms(signatures, chosen.name, form, target):
        try:
            with in_float32(signature.model for signature in signatures.values()):
                file = MeasuredFile.made(chosen, name, signatures, target, tolerance, timeout_s)
            files.setdefault(file.form, file)
        except UserError as error:
            failures.append(error)
        if files and target == "micro":
            break
    if not files:
        raise failures[0]
    files = timed_in_turn(files, signatures)
    best = min(files, key=lambda name: files[name].report["latency_ms"]["median"])
    with written_atomically(Path(path)) as temporary:
        temporary.write_bytes(files[best].content)
    report = {
        "format": chosen.name,
        "form": best,
        "form_reason": _reason(files, form, target) if _has_recurrence(signatures) else "it has no recurrent layer",
        "path": str(path),
        "bytes": len(files[best].content),
        "signatures": sorted(signatures),
        **files[best].report,
    }
    if target == "micro":
        report["c_array"] = write_c_array(Path(path), report["arena_bytes"], report["ops"])
    return report


def _checked_lengths(sequence_length) -> list[int]:
    lengths = sequence_length if isinstance(sequence_length, Sequence) else [sequence_length]
    return sorted({check_positive_integer("sequence_length", length) for length in lengths if length is not None})


def _signatures(model, batch_size, lengths, samples, is_calibrated, streaming):
    known = samples if lengths or is_calibrated else None
    longest = shapes_of(model, batch_size, max(lengths, default=None), known)
    signatures = {DEFAULT: Sequences(model, longest, samples)}
    for length in lengths if len(lengths) > 1 else ():
        signatures[f"length_{length}"] = Sequences(model, shapes_of(model, batch_size, length, None), samples)
    if streaming:
        signatures[STEP] = Steps(model, longest, samples)
    return signatures


def _has_recurrence(signatures) -> bool:
    return any(recurrent_layers(signature.model) for signature in signatures.values())


def _forms(signatures, format_name, form, target) -> list[str]:
    """Forms to make, of which the fastest is kept; for "micro", the first that runs."""
    is_open = any(signature.is_open for signature in signatures.values())
    possible = FORMS_OF.get(format_name, FORMS[1:])
    if form != "auto":
        if form not in possible:
            raise UserError(f"form={form!r} cannot be had in {format_name}; it must be one of {', '.join(possible)}")
        if form in ("chunked", "unrolled") and is_open:
            raise UserError(f"form={form!r} needs a static number of time steps; give `sequence_length`")
        return [form]
    if target == "phone" or not _has_recurrence(signatures):
        return [possible[0]]
    return [name for name in possible if name in ("fused", "loop") or not is_open]


def _check_micro(lengths, streaming):
    check_micro()
    if len(lengths) > 1 or streaming:
        raise UserError(
            "target='micro' takes one `sequence_length` and no `streaming`: TFLite Micro runs a file's first signature "
            "alone; make one file for each"
        )


def _reason(files, form, target):
    if form != "auto":
        return "it was asked for"
    if target == "micro":
        return MICRO_REASONS[next(iter(files))]
    if target != "desktop":
        return f"for target {target!r} the smallest form that its format allows was taken"
    measured = ", ".join(f"{file.form} {file.report['latency_ms']['median']:.2f} ms" for file in files.values())
    return f"the fastest on this machine: {measured}"
