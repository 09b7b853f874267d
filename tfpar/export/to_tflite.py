"""`tflite`: one model, one format, one verified file."""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfpar.checks import check_one_of, check_positive_integer
from tfpar.errors import UserError
from tfpar.export.convert import convert, save_calibration
from tfpar.export.formats import CALIBRATED, FORMATS, FORMS, FORMS_OF, MICRO_REASONS, TARGETS, Format
from tfpar.export.interpreter import TFLiteModel
from tfpar.export.mend import mend_cells
from tfpar.export.micro import check_micro
from tfpar.export.micro_process import measure_in_micro
from tfpar.export.samples import sample_inputs
from tfpar.export.signatures import DEFAULT, STEP, Sequences, Steps, recurrent_layers, shapes_of
from tfpar.files import written_atomically

PARITY_ROWS = 32


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
    timeout_s: float = 600,
) -> dict:
    """Writes a model as a TFLite file, with builtin operations only, and measures it.

    Forms of a recurrence: "fused", one `UNIDIRECTIONAL_SEQUENCE_LSTM` (another cell is a loop, or in 8 bits unrolled);
    "loop" over the steps; "unrolled", the steps written out; "chunked", a loop over ten unrolled steps. The last two
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
        timeout_s: what the converter may take, for each form.

    Returns:
        {"format", "form", "form_reason", "path", "bytes", "ops", "signatures", "max_abs_error" (to Keras, over at most
        `PARITY_ROWS` inputs of each signature), "latency_ms": {"median"} (of "serving_default")}; for "micro" also
        "arena_bytes", the memory that it needs, and "micro_max_abs_error", measured in TFLite Micro.

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
    forms = _forms(model, chosen.name, form, target, signatures[DEFAULT])
    files, failures = {}, []
    for name in forms:
        try:
            file = _File.made(model, chosen, name, signatures, target, timeout_s)
            files.setdefault(file.form, file)
        except UserError as error:
            failures.append(error)
        if files and target == "micro":
            break
    if not files:
        raise failures[0]
    best = min(files, key=lambda name: files[name].report["latency_ms"]["median"])
    with written_atomically(Path(path)) as temporary:
        temporary.write_bytes(files[best].content)
    return {
        "format": chosen.name,
        "form": best,
        "form_reason": _reason(files, form, target) if recurrent_layers(model) else "it has no recurrent layer",
        "path": str(path),
        "bytes": len(files[best].content),
        "signatures": sorted(signatures),
        **files[best].report,
    }


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


def _forms(model, format_name, form, target, sequences) -> list[str]:
    """Forms to make, of which the fastest is kept; for "micro", the first that runs."""
    possible = FORMS_OF.get(format_name, FORMS[1:])
    if form != "auto":
        if form not in possible:
            raise UserError(f"form={form!r} cannot be had in {format_name}; it must be one of {', '.join(possible)}")
        if form in ("chunked", "unrolled") and sequences.is_open:
            raise UserError(f"form={form!r} needs a static number of time steps; give `sequence_length`")
        return [form]
    if target == "phone" or not recurrent_layers(model):
        return [possible[0]]
    return [name for name in possible if name in ("fused", "loop") or not sequences.is_open]


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


@dataclasses.dataclass(frozen=True)
class _File:
    """A file that has passed, and what was measured."""

    content: bytes
    report: dict
    asked: str

    @property
    def form(self) -> str:
        """What its recurrences have become: what was asked for, but that not every cell can be fused."""
        if self.asked != "fused" or "UNIDIRECTIONAL_SEQUENCE_LSTM" in self.report["ops"]:
            return self.asked
        return "loop" if "WHILE" in self.report["ops"] else "unrolled"

    @classmethod
    def made(cls, model, chosen: Format, form, signatures, target, timeout_s) -> "_File":
        rows = {name: signature.rows() for name, signature in signatures.items()}
        content = _convert(model, chosen.name, form, signatures, rows, target, timeout_s)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "model.tflite"
            path.write_bytes(content)
            report = _measure(path, chosen, signatures, rows)
        if target == "micro":
            report |= measure_in_micro(content, signatures[DEFAULT], rows[DEFAULT][:PARITY_ROWS], timeout_s)
        _gate(report, chosen)
        return cls(content, report, form)


def _convert(model, format_name, form, signatures, rows, target, timeout_s):
    # As variables, weights would keep the converter from fusing; see tfpar.ops.fused_lstm.
    weights = [v.numpy() for v in model.variables]
    kind = "tflite_int8" if format_name in CALIBRATED else "tflite"
    functions = {name: signature.function(weights, kind, form) for name, signature in signatures.items()}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        tf.saved_model.save(tf.Module(), str(directory / "saved_model"), signatures=functions)
        save_calibration(directory, rows)
        return mend_cells(convert(directory, format_name, timeout_s, target))


def _measure(path, chosen, signatures, rows):
    try:
        files = {name: TFLiteModel(path, name) for name in signatures}
        errors = [signature.error(files[name], rows[name][:PARITY_ROWS]) for name, signature in signatures.items()]
        latency_s = files[DEFAULT].latency_s(rows[DEFAULT][0])
    except RuntimeError as error:  # LiteRT's, of operations that its kernels cannot run
        raise UserError(
            f"the {chosen.name} file does not run: {str(error)[-200:]}. Leave this format out, or use another one"
        ) from error
    return {
        "ops": files[DEFAULT].operations,
        "max_abs_error": float(np.max(errors)),  # NaN if any is
        "latency_ms": {"median": 1e3 * latency_s},
    }


def _gate(report, chosen):
    flex = [name for name in report["ops"] if name.startswith("Flex")]
    if flex:
        raise UserError(f"the {chosen.name} file would need TensorFlow operations that phones lack: {', '.join(flex)}")
    error = float(np.max([report["max_abs_error"], report.get("micro_max_abs_error", 0.0)]))
    if chosen.max_abs_error is not None and not error <= chosen.max_abs_error:
        raise UserError(
            f"the {chosen.name} file differs from Keras by {error:.2g}, more than the allowed "
            f"{chosen.max_abs_error:.2g}; {chosen.remedy}"
        )
