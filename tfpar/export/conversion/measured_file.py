"""A TFLite file that was converted, patched and compared with the model."""

import dataclasses
import tempfile
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import tensorflow as tf

from tfpar.errors import RefusedFileError, UserError
from tfpar.export.conversion.converter import convert, save_calibration
from tfpar.export.conversion.diagnosis import describe_random, explain_excess, find_multi_step_layer, find_random_output
from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.conversion.patch import patch_tflite
from tfpar.export.conversion.signatures import STEP, Signatures
from tfpar.export.conversion.verify_outputs import Comparison
from tfpar.export.formats import CALIBRATED, Format
from tfpar.export.micro.interpreter_process import measure_in_micro


@runtime_checkable
class FloatLayer(Protocol):
    """A layer that may compute in float32 in an int8 file, such as `tfpar.layers.LogMelSpectrogram`.

    Attributes:
        keep_float32: whether it does.
    """

    keep_float32: bool


@dataclasses.dataclass(frozen=True)
class MeasuredFile:
    """A TFLite file within its tolerance.

    Attributes:
        content: its bytes.
        report: {"ops", "max_abs_error"}, and "latency_ms" after `measure_latencies`; see `tflite`.
        requested_form: the form that was requested.
    """

    content: bytes
    report: dict
    requested_form: str

    @property
    def form(self) -> str:
        """The form actually used: the requested one, unless the cell has no fused op."""
        if self.requested_form != "fused" or "UNIDIRECTIONAL_SEQUENCE_LSTM" in self.report["ops"]:
            return self.requested_form
        return "loop" if "WHILE" in self.report["ops"] else "unrolled"

    @classmethod
    def convert(
        cls,
        chosen: Format,
        form: str,
        signatures: Signatures,
        target: str,
        tolerance: float | None,
        timeout_s: float,
    ) -> "MeasuredFile":
        """Convert signatures to a file, patch it and compare it with the model.

        Args:
            chosen: the format.
            form: of the recurrences; see `tflite`.
            signatures: by name.
            target, tolerance, timeout_s: see `tflite`.

        Raises:
            UserError: the conversion failed, or an output exceeds its tolerance.
        """
        content = _convert(chosen.name, form, signatures, target, timeout_s)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "model.tflite"
            path.write_bytes(content)
            report = _measure(path, chosen, signatures, tolerance)
        if target == "micro":
            ((name, signature),) = signatures.items()
            measured, comparison = measure_in_micro(content, signature, timeout_s)
            _check(name, signature, comparison, chosen, tolerance)
            report |= measured
        return cls(content, report, form)


def measure_latencies(
    files: dict[str, MeasuredFile], signatures: Signatures, rounds: int = 5
) -> dict[str, MeasuredFile]:
    """Measure the latency of each file, interleaved, so that other load on the machine affects all files alike.

    Args:
        files: by form.
        signatures: of the files; the first one is timed.
        rounds: number of measurements, whose median is reported.

    Returns:
        The files, with "latency_ms" in their reports.
    """
    name, signature = next(iter(signatures.items()))
    inputs, models = signature.rows()[0], [TFLiteModel(file.content, name) for file in files.values()]
    latencies_s = np.median([[model.latency_s(inputs, runs=10) for model in models] for _ in range(rounds)], axis=0)
    return {
        form: dataclasses.replace(file, report=file.report | {"latency_ms": {"median": 1e3 * float(latency_s)}})
        for (form, file), latency_s in zip(files.items(), latencies_s, strict=True)
    }


def _convert(format_name, form, signatures, target, timeout_s):
    target_kind = _target_kind(format_name)
    functions = {name: _trace(signature, target_kind, form, name) for name, signature in signatures.items()}
    rows = {name: signature.rows() for name, signature in signatures.items()}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        try:
            tf.saved_model.save(tf.Module(), str(directory / "saved_model"), signatures=functions)
        except AssertionError as error:  # from TensorFlow, for a table or a variable that is not a weight
            raise UserError(_explain_resource(signatures)) from error
        save_calibration(directory, rows, _float_layers(signatures))
        names = {name: signature.output_names for name, signature in signatures.items()}
        return patch_tflite(convert(directory, format_name, timeout_s, target), names)


def _trace(signature, target_kind, form, name):
    try:
        return signature.function(target_kind, form)
    except UserError:
        raise
    except (ValueError, TypeError, tf.errors.OpError) as error:
        layer = find_multi_step_layer(signature.model, signature.for_model) if name == STEP else None
        if layer:
            raise UserError(
                f"{signature.model.name} cannot be streamed: its layer {layer!r} needs several steps at once. Stream "
                "a model without it"
            ) from error
        raise UserError(f"{signature.model.name} cannot be exported: {_first_line(error)}") from error


def _first_line(error):
    return " ".join(str(error).split())[:300]


def _explain_resource(signatures):
    for signature in signatures.values():
        for layer in signature.model.layers:
            if hasattr(layer, "get_vocabulary") or hasattr(layer, "lookup_table"):
                return (
                    f"the layer {layer.name!r} looks up a table, which TFLite's builtin operations lack. Export the "
                    "model that takes its output, or use a SavedModel"
                )
        name = find_random_output(signature.model, signature.rows_to_compare()[0].inputs)
        if name:
            return f"{signature.model.name} cannot be exported: {describe_random(name)}"
    return "a layer holds a TensorFlow resource that TFLite's builtin operations lack. Use a SavedModel"


def _target_kind(format_name):
    """Return the `target` of `exporting` for a format."""
    if format_name == "float16":
        return "tflite_float16"
    return "tflite_int8" if format_name in CALIBRATED else "tflite"


def _float_layers(signatures) -> list[str]:
    """List the names of layers that compute in float32 in an int8 file, because 8 bits cannot hold their range."""
    layers = (layer for signature in signatures.values() for layer in signature.model.layers)
    return sorted({layer.name for layer in layers if _keeps_float32(layer)})


def _keeps_float32(layer: object) -> bool:
    return isinstance(layer, FloatLayer) and layer.keep_float32


def _measure(path, chosen, signatures, tolerance):
    """Compare the file with the model; raise UserError if an output exceeds its tolerance."""
    total = Comparison()
    try:
        files = {name: TFLiteModel(path, name) for name in signatures}
        operations = files[next(iter(signatures))].operations
        _refuse_flex(operations, chosen)
        for name, signature in signatures.items():
            comparison = signature.compare(files[name], signature.rows_to_compare())
            _check(name, signature, comparison, chosen, tolerance)
            total.update(comparison, f"{name}/")
    except RuntimeError as error:  # from LiteRT, for operations that its kernels cannot run
        raise UserError(f"the {chosen.name} file does not run: {str(error)[-200:]}. Use another format") from error
    return {"ops": operations, "max_abs_error": total.error}


def _refuse_flex(operations, chosen):
    flex = [name for name in operations if name.startswith("Flex")]
    if flex:
        raise UserError(
            f"the {chosen.name} file needs TensorFlow operations that LiteRT on phones lacks: {', '.join(flex)}. "
            "Use a SavedModel"
        )


def _check(name, signature, comparison, chosen, tolerance):
    """Raise RefusedFileError if an output exceeds its tolerance."""
    worst = comparison.worst(chosen, tolerance)
    if worst.is_allowed:
        return
    layer = find_multi_step_layer(signature.model, signature.for_model) if name == STEP else None
    cause = (
        f"its layer {layer!r} needs several steps at once: stream a model without it"
        if layer
        else explain_excess(signature.model, chosen, worst, comparison, signature.padding)
    )
    raise RefusedFileError(
        f"the {chosen.name} file differs from Keras by {worst.error:.2g} in {worst.output!r}, more than the allowed "
        f"{worst.allowed:.2g}; {cause}",
        {"max_abs_error": worst.error, "allowed": worst.allowed, "output": worst.output},
    )
