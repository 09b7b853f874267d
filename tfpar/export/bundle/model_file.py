"""Loads the TFLite file of an export from memory after checking it."""

from tfpar.checks import did_you_mean
from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle
from tfpar.export.conversion.interpreter import TFLiteModel


def load_content(bundle: Bundle, format_name: str | None = None) -> tuple[str, bytes]:
    """Read `model.<format>.tflite`.

    Args:
        bundle: the export.
        format_name: the format; None: the first in the manifest.

    Returns:
        The format's name, and the file's content.

    Raises:
        UserError: the export lacks the format, or the file was changed.
    """
    entries = bundle.manifest.entries("exports", "format")
    formats = [entry["format"] for entry in entries if "refused" not in entry]
    available = [name for name in formats if name != "saved_model"]
    chosen = format_name or next(iter(available), None)
    if chosen is None or chosen not in available:
        closest = did_you_mean(chosen, available) if chosen else ""
        raise UserError(
            f"{bundle.directory} has no {chosen or 'TFLite'} file; it has {', '.join(available) or 'none'}{closest}"
        )
    name = f"model.{chosen}.tflite"
    return chosen, bundle.read(name)


def load_model(bundle: Bundle, format_name: str | None = None) -> tuple[str, TFLiteModel]:
    """Load `model.<format>.tflite` as a model; see `load_content`."""
    chosen, content = load_content(bundle, format_name)
    return chosen, TFLiteModel(content, name=f"model.{chosen}.tflite")
