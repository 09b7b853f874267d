"""A TFLite file that was made and has passed its measurement."""

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfpar.errors import UserError
from tfpar.export.convert import convert, save_calibration
from tfpar.export.formats import CALIBRATED, Format
from tfpar.export.interpreter import TFLiteModel
from tfpar.export.mend import mend_file
from tfpar.export.micro_process import measure_in_micro
from tfpar.export.signatures import Difference, Signatures, recurrent_layers

PARITY_ROWS = 32


@dataclasses.dataclass(frozen=True)
class MeasuredFile:
    """A file that has passed.

    Attributes:
        content: its bytes.
        report: {"ops", "max_abs_error"}, and "latency_ms" once it is timed; see `tflite`.
        asked: the form that was asked for.
    """

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
    def made(
        cls,
        chosen: Format,
        form: str,
        signatures: Signatures,
        target: str,
        tolerance: float | None,
        timeout_s: float,
    ) -> "MeasuredFile":
        """Converts, mends and measures a file.

        Raises:
            UserError: the conversion failed, or the file strays further than it may.
        """
        rows = {name: signature.rows() for name, signature in signatures.items()}
        content = _convert(chosen.name, form, signatures, rows, target, timeout_s)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "model.tflite"
            path.write_bytes(content)
            report = _measure(path, chosen, signatures, rows, tolerance)
        if target == "micro":
            ((name, sequences),) = signatures.items()
            measured, difference = measure_in_micro(content, sequences, rows[name][:PARITY_ROWS], timeout_s)
            _gate(difference, chosen, tolerance, signatures)
            report |= measured
        return cls(content, report, form)


def timed_in_turn(files: dict[str, MeasuredFile], signatures: Signatures, rounds: int = 5) -> dict[str, MeasuredFile]:
    """The files with their latencies, taken by turns, so that what else the machine does meanwhile meets all."""
    name, signature = next(iter(signatures.items()))
    inputs, models = signature.rows()[0], [TFLiteModel(file.content, name) for file in files.values()]
    latencies_s = np.median([[model.latency_s(inputs, runs=10) for model in models] for _ in range(rounds)], axis=0)
    return {
        form: dataclasses.replace(file, report=file.report | {"latency_ms": {"median": 1e3 * float(latency_s)}})
        for (form, file), latency_s in zip(files.items(), latencies_s, strict=True)
    }


def _convert(format_name, form, signatures, rows, target, timeout_s):
    kind = _kind(format_name)
    functions = {name: signature.function(kind, form) for name, signature in signatures.items()}
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        tf.saved_model.save(tf.Module(), str(directory / "saved_model"), signatures=functions)
        save_calibration(directory, rows, _float_layers(signatures))
        return mend_file(convert(directory, format_name, timeout_s, target))


def _kind(format_name):
    """What layers are told that they are exported to."""
    if format_name == "float16":
        return "tflite_float16"
    return "tflite_int8" if format_name in CALIBRATED else "tflite"


def _float_layers(signatures) -> list[str]:
    """Names of layers that compute in float32 in an int8 file, since their values span more than 8 bits hold."""
    layers = (layer for signature in signatures.values() for layer in signature.model._flatten_layers())
    return sorted({layer.name for layer in layers if getattr(layer, "stays_float", False)})


def _measure(path, chosen, signatures, rows, tolerance):
    """Runs the file; raises UserError if it strays further than it may."""
    try:
        files = {name: TFLiteModel(path, name) for name in signatures}
        operations = files[next(iter(signatures))].operations
        _refuse_flex(operations, chosen)
        found = [signature.compare(files[name], rows[name][:PARITY_ROWS]) for name, signature in signatures.items()]
    except RuntimeError as error:  # LiteRT's, of operations that its kernels cannot run
        raise UserError(
            f"the {chosen.name} file does not run: {str(error)[-200:]}. Leave this format out, or use another one"
        ) from error
    difference = Difference.largest(found)
    _gate(difference, chosen, tolerance, signatures)
    return {"ops": operations, "max_abs_error": difference.error}


def _refuse_flex(operations, chosen):
    flex = [name for name in operations if name.startswith("Flex")]
    if flex:
        raise UserError(f"the {chosen.name} file would need TensorFlow operations that phones lack: {', '.join(flex)}")


def _gate(difference, chosen, tolerance, signatures):
    allowed = tolerance
    if allowed is None:
        allowed = chosen.max_abs_error or chosen.max_relative_error * difference.scale
    if not difference.error <= allowed:
        raise UserError(
            f"the {chosen.name} file differs from Keras by {difference.error:.2g}, more than the allowed "
            f"{allowed:.2g}; {_remedy(chosen, signatures)}"
        )


def _remedy(chosen, signatures):
    names = [layer.name for signature in signatures.values() for layer in recurrent_layers(signature.model)]
    if chosen.name != "int8" or len(names) < 2:
        return chosen.remedy
    return f"the errors of {', '.join(names)} add up in 8 bits: keep these layers in dynamic range, or {chosen.remedy}"
