"""Verifies that an export's files are unchanged and run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfpar.export.bundle.directory import Bundle
from tfpar.export.bundle.manifest import list_files
from tfpar.export.conversion.interpreter import TFLiteModel, list_signatures

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def verify_bundle(
    directory: Path | str, encryption_key: bytes | None = None, public_key: "Ed25519PublicKey | None" = None
) -> dict[str, Any]:
    """Compare the files with the manifest, and the manifest with its signature, and run each TFLite file once.

    Args:
        directory, encryption_key, public_key: see `Bundle`. Without a key, encrypted files are compared and not run.

    Returns:
        {"ok", "files" (how many), "changed", "missing", "unlisted" (names), "ran" (names)}, and for a sealed export
        "signature": {"key", "trusted"} and "encrypted".

    Raises:
        UserError, ChangedFileError: see `Bundle`.
    """
    bundle = Bundle(directory, encryption_key, public_key)
    report = compare(bundle)
    to_run = [name for name in bundle.manifest.files() if name.endswith(".tflite") and bundle.is_readable]
    # Changed files might be malicious: do not run them.
    mismatched = {*report["changed"], *report["missing"]}
    report["ran"] = sorted(name for name in to_run if name not in mismatched and _runs(bundle, name))
    is_unchanged = not (mismatched or report["unlisted"])
    is_sealed = bundle.signature or bundle.is_encrypted
    seal = {"signature": bundle.signature, "encrypted": bundle.is_encrypted} if is_sealed else {}
    return {"ok": is_unchanged and len(report["ran"]) == len(to_run), **report, **seal}


def compare(bundle: Bundle) -> dict[str, Any]:
    """Compare the files on disk with the manifest.

    Returns:
        {"files" (how many), "changed", "missing", "unlisted" (names)}.
    """
    listed = bundle.manifest.files()
    found = {entry["path"]: entry["sha256"] for entry in list_files(bundle.directory)}
    return {
        "files": len(listed),
        "changed": sorted(name for name in set(listed) & set(found) if listed[name] != found[name]),
        "missing": sorted(set(listed) - set(found)),
        "unlisted": sorted(set(found) - set(listed)),
    }


def _runs(bundle, name):
    content = bundle.read(name)
    return all(_is_finite(TFLiteModel(content, signature, name)) for signature in list_signatures(content, name))


def _is_finite(model):
    """Whether the outputs for inputs of zeros are finite."""
    zeros = {name: np.zeros([max(size, 1) for size in shape], dtype) for name, (shape, dtype) in model.inputs.items()}
    return all(np.isfinite(output).all() for output in model(**zeros).values())
