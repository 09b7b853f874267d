"""Exports any Keras model in several formats, each compared with the model."""

from functools import partial
from pathlib import Path
from typing import Any

import keras

from tfpar.errors import UserError
from tfpar.export.bundle.directory import write_bundle
from tfpar.export.bundle.environment_info import read_versions
from tfpar.export.bundle.signature_specs import describe_signature
from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.conversion.serving import ServingModel, serving_model
from tfpar.export.conversion.to_saved_model import saved_model_in_bundle
from tfpar.export.conversion.to_tflite import tflite
from tfpar.export.report.refusals import (
    describe_notes,
    describe_row,
    is_refused,
    note_larger_files,
    write_or_refuse,
)

TASK = "model"

_CARD = """# {name}

Exported from {source}.

| format | form | bytes | largest difference to Keras | median latency |
|---|---|---|---|---|
{rows}

Inputs and outputs of each signature are in `manifest.json`. The TFLite files reset their states in each run: no
variable has to be reset by the application.
{notes}{micro}"""

_MICRO = """
On a microcontroller: `{source}` and `{header}` contain the {format} file as a C array. In TFLite Micro its outputs
differ from Keras by at most {micro_max_abs_error:.1e}, and it needs an arena of {arena_bytes:,} bytes.
"""


def export_model(
    model: keras.Model | ServingModel, directory: Path | str, formats: tuple[str, ...], source: str, **options: Any
) -> dict[str, Any]:
    """Write an export directory: files, manifest, card.

    Args:
        model: a built model, of any kind.
        directory: its path; an export that exists there is replaced.
        formats: "saved_model" and names of `tfpar.export.FORMATS`.
        source: the file that the model was loaded from, for the card.
        **options: of `tflite`.

    Returns:
        The manifest. For a refused file "exports" has the reason; the other files are written.

    Raises:
        UserError: the directory cannot be written, the model's inputs are unknown, or every file was refused; then
            nothing is written.
    """
    serving = serving_model(model)
    exports: list[dict[str, Any]] = []
    signatures: dict[str, Any] = {}
    manifest: dict[str, Any] = {
        "task": TASK,
        "name": model.name,
        "source": source,
        "exports": exports,
        "signatures": signatures,
        "versions": read_versions(),
    }
    with write_bundle(directory, manifest) as temporary:
        for name in formats:
            write = partial(_write_format, serving, temporary, name, signatures, options)
            exports.append(write_or_refuse(name, write, temporary / f"model.{name}.tflite"))
        note_larger_files(exports)
        if all(map(is_refused, exports)):
            raise UserError(exports[0]["refused"])
        rows, micro = "\n".join(map(_row, exports)), "".join(map(_micro, exports))
        notes = describe_notes(exports)
        card = _CARD.format(name=model.name, source=source, rows=rows, micro=micro, notes=notes)
        (temporary / "card.md").write_text(card, encoding="utf-8")
    return manifest


def _write_format(model, directory, name, signatures, options):
    if name == "saved_model":
        return saved_model_in_bundle(model, directory)
    path = directory / f"model.{name}.tflite"
    report = tflite(model, path, quantize=name, **options)
    signatures[name] = {
        signature: describe_signature(TFLiteModel(path, signature)) for signature in report["signatures"]
    }
    return {**report, "path": path.name}


def _row(report):
    if is_refused(report):
        return describe_row(report, 5)
    if "form" not in report:
        return f"| {report['format']} | | {report['bytes']:,} | {report['max_abs_error']:.1e} | |"
    return (
        f"| {report['format']} | {report['form']} | {report['bytes']:,} | {report['max_abs_error']:.1e} | "
        f"{report['latency_ms']['median']:.2f} ms |"
    )


def _micro(report):
    if "c_array" not in report:
        return ""
    source, header = report["c_array"]
    return _MICRO.format(**report, source=source, header=header)
