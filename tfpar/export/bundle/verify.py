"""Are an export's files those that were exported, and do they run?"""

from pathlib import Path

import numpy as np

from tfpar.export.bundle.directory import Bundle
from tfpar.export.bundle.manifest import list_files
from tfpar.export.conversion.interpreter import TFLiteModel, list_signatures


def verify_bundle(directory: Path | str, encryption_key: bytes | None = None, public_key=None) -> dict:
    """Compares the files with the manifest, and the manifest with its signature, and runs each TFLite file once.

    Args:
        directory, encryption_key, public_key: of `Bundle`. Without their key, encrypted files are compared and not run.

    Returns:
        {"ok", "files" (how many), "changed", "missing", "unlisted" (names), "ran" (names)}, and of a sealed export
        "signature": {"key", "trusted"} and "encrypted".

    Raises:
        UserError, ChangedFileError: of `Bundle`.
    """
    bundle = Bundle(directory, encryption_key, public_key)
    report = compare(bundle)
    to_run = [name for name in bundle.manifest.files() if name.endswith(".tflite") and bundle.can_be_read]
    # Only what is known to be ours is run.
    doubtful = {*report["changed"], *report["missing"]}
    report["ran"] = sorted(name for name in to_run if name not in doubtful and _runs(bundle, name))
    sound = not (doubtful or report["unlisted"])
    is_sealed = bundle.signature or bundle.is_encrypted
    seal = {"signature": bundle.signature, "encrypted": bundle.is_encrypted} if is_sealed else {}
    return {"ok": sound and len(report["ran"]) == len(to_run), **report, **seal}


def compare(bundle: Bundle) -> dict:
    """Compares the files on the disk with the manifest.

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
    return all(_answers(TFLiteModel(content, signature, name)) for signature in list_signatures(content, name))


def _answers(model):
    zeros = {name: np.zeros([max(size, 1) for size in shape], dtype) for name, (shape, dtype) in model.inputs.items()}
    return all(np.isfinite(output).all() for output in model(**zeros).values())
