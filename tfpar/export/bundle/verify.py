"""Verifies that an export's files are unchanged and run."""

import errno
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle
from tfpar.export.bundle.entries import read_entry
from tfpar.export.conversion.interpreter import TFLiteModel, list_signatures

if TYPE_CHECKING:
    from tfpar.export.bundle.keys import PublicKey


def verify_bundle(
    directory: Path | str,
    encryption_key: bytes | None = None,
    public_key: "PublicKey | None" = None,
    allow_unsigned: bool = False,
) -> dict[str, Any]:
    """Compare the files with the manifest, and the manifest with its signature, and run each TFLite file once.

    Args:
        directory, encryption_key, public_key, allow_unsigned: see `Bundle`. Without an encryption key, encrypted files
            are compared and not run.

    Returns:
        {"ok", "files" (how many), "changed", "missing", "unlisted" (names), "ran" (names)}, and for a sealed export
        "signature": {"key", "trusted"}, "trusted_key" and "encrypted".

    Raises:
        UserError, UntrustedExportError, ChangedFileError: see `Bundle`.
    """
    bundle = Bundle(directory, encryption_key, public_key, allow_unsigned)
    report = compare(bundle)
    to_run = [name for name in bundle.manifest.files() if name.endswith(".tflite") and bundle.is_readable]
    # Changed files might be malicious: do not run them.
    mismatched = {*report["changed"], *report["missing"]}
    report["ran"] = sorted(name for name in to_run if name not in mismatched and _runs(bundle, name))
    is_unchanged = not (mismatched or report["unlisted"])
    if bundle.is_sealed:
        report["signature"], report["trusted_key"] = bundle.signature, bundle.trusted_key
        report["encrypted"] = bundle.is_encrypted
    return {"ok": is_unchanged and len(report["ran"]) == len(to_run), **report}


def compare(bundle: Bundle) -> dict[str, Any]:
    """Compare the entries on disk with the manifest.

    Returns:
        {"files" (how many), "changed", "missing", "unlisted" (names; see `Bundle.list_unlisted`)}. A listed file that
        is a link out of the export, or no file, is changed.
    """
    listed, directory = bundle.manifest.files(), bundle.directory
    is_missing = {name: not os.path.lexists(directory / name) for name in listed}
    return {
        "files": len(listed),
        "changed": sorted(n for n, sha256 in listed.items() if not is_missing[n] and _sha256(directory, n) != sha256),
        "missing": sorted(name for name in listed if is_missing[name]),
        "unlisted": bundle.list_unlisted(),
    }


def _sha256(directory, name) -> str | None:
    """Return the sha256 of a file; None if it is no regular file within the export."""
    try:
        return hashlib.sha256(read_entry(directory, name)).hexdigest()
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EIO):
            raise UserError(f"{directory / name} cannot be read: {error.strerror}") from error
        return None


def _runs(bundle, name):
    content = bundle.read(name)
    return all(_is_finite(TFLiteModel(content, signature, name)) for signature in list_signatures(content, name))


def _is_finite(model):
    """Whether the outputs for inputs of zeros are finite."""
    zeros = {name: np.zeros([max(size, 1) for size in shape], dtype) for name, (shape, dtype) in model.inputs.items()}
    return all(np.isfinite(output).all() for output in model(**zeros).values())
