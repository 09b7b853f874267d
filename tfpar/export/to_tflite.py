"""`tflite`: one model, one format, one verified file."""

import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfpar.checks import check_one_of, check_positive_integer
from tfpar.errors import UserError
from tfpar.export.convert import convert, save_calibration
from tfpar.export.formats import FORMATS
from tfpar.export.interpreter import TFLiteModel
from tfpar.export.mend import mend_cells
from tfpar.export.samples import sample_inputs
from tfpar.export.to_saved_model import named_outputs, serving_function
from tfpar.files import written_atomically

PARITY_ROWS = 32


def tflite(
    model: keras.Model,
    path: Path | str,
    quantize: str | None = None,
    calibration=None,
    sequence_length: int | None = None,
    timeout_s: float = 600,
) -> dict:
    """Writes a model as a TFLite file for batches of one, with builtin operations only, and measures it.

    An LSTM becomes one `UNIDIRECTIONAL_SEQUENCE_LSTM`; another cell becomes a loop, or for int8 its steps written
    out. Where the input is masked, padding must stand at the right.

    Args:
        model: a built functional model.
        path: of the file; written only if it passes.
        quantize: None or "float32", "float16", "dynamic" (8-bit weights), "int8" (8-bit weights and activations).
        calibration: representative inputs, for int8 and for measuring: see `tfpar.export.samples.sample_inputs`.
            Without it the file is measured on random inputs.
        sequence_length: time steps of the file's inputs where the model leaves them open; default: the longest in
            `calibration`; without either, any length.
        timeout_s: what the converter may take.

    Returns:
        {"format", "path", "bytes", "ops", "max_abs_error" (to Keras, over at most `PARITY_ROWS` inputs),
        "latency_ms": {"median"}}.

    Raises:
        UserError: int8 without `calibration`; the conversion failed; the file strays further than its format may.
        ValueError: an argument is out of range.
    """
    chosen = FORMATS[check_one_of("quantize", quantize or "float32", tuple(FORMATS))]
    if chosen.name == "int8" and calibration is None:
        raise UserError("quantize='int8' needs `calibration`: a dataset of inputs like those of training.")
    if sequence_length is not None:
        check_positive_integer("sequence_length", sequence_length)
    samples = sample_inputs(model, calibration, sequence_length)
    any_length = calibration is None and sequence_length is None
    shapes = {
        name: (1, *(tensor.shape[1:] if any_length else rows.shape[1:]))
        for (name, rows), tensor in zip(samples.items(), model.inputs, strict=True)
    }
    content = _convert(model, chosen.name, shapes, samples, timeout_s)
    with written_atomically(Path(path)) as temporary:
        temporary.write_bytes(content)
        try:
            report = _measure(model, TFLiteModel(temporary), samples)
        except RuntimeError as error:  # LiteRT's, of operations that its kernels cannot run
            raise UserError(
                f"the {chosen.name} file does not run: {str(error)[-200:]}. Leave this format out, or use another one"
            ) from error
        _gate(report, chosen)
    return {"format": chosen.name, "path": str(path), "bytes": len(content), **report}


def _convert(model, format_name, shapes, samples, timeout_s):
    # As variables, weights would keep the converter from fusing; see tfpar.ops.fused_lstm.
    weights = [v.numpy() for v in model.variables]
    serve = serving_function(model, weights, "tflite_int8" if format_name == "int8" else "tflite", shapes)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        tf.saved_model.save(tf.Module(), str(directory / "saved_model"), signatures={"serving_default": serve})
        save_calibration(directory, samples)
        return mend_cells(convert(directory, format_name, timeout_s))


def _measure(model, file, samples):
    rows = [
        {name: array[i : i + 1] for name, array in samples.items()}
        for i in range(min(PARITY_ROWS, len(next(iter(samples.values())))))
    ]
    errors = []
    for row in rows:
        found = file(**row)
        errors += [np.max(np.abs(found[name] - expected)) for name, expected in named_outputs(model, row).items()]
    return {
        "ops": file.operations,
        "max_abs_error": float(np.max(errors)),  # NaN if any is: Python's own max would lose it
        "latency_ms": {"median": 1e3 * file.latency_s(rows[0])},
    }


def _gate(report, chosen):
    flex = [name for name in report["ops"] if name.startswith("Flex")]
    if flex:
        raise UserError(f"the {chosen.name} file would need TensorFlow operations that phones lack: {', '.join(flex)}")
    if chosen.max_abs_error is not None and not report["max_abs_error"] <= chosen.max_abs_error:
        raise UserError(
            f"the {chosen.name} file differs from Keras by {report['max_abs_error']:.2g}, more than the allowed "
            f"{chosen.max_abs_error:.2g}; {chosen.remedy}"
        )
