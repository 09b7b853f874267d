"""An export directory: files, a manifest that lists them, a card that tells about them."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tfpar.errors import UserError
from tfpar.export.interpreter import TFLiteModel
from tfpar.files import check_writable_directory, directory_written_atomically

MANIFEST = "manifest.json"


@contextlib.contextmanager
def write_bundle(path: Path | str, manifest: dict) -> Iterator[Path]:
    """Yields an empty directory to put files into; they become `path`, with a manifest, if the body succeeds.

    Args:
        path: the export directory; a former export there is replaced as a whole.
        manifest: what to say beside the list of files. It is read after the body, which may add to it.
    """
    with directory_written_atomically(Path(path), signed_by=MANIFEST) as directory:
        yield directory
        listed = {"manifest_version": 1, **manifest, "files": _list_files(directory)}
        (directory / MANIFEST).write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


def check_writable(path: Path | str) -> None:
    """Makes sure, before training, that an export can be written to `path`; raises UserError otherwise."""
    check_writable_directory(Path(path), signed_by=MANIFEST)


def read_manifest(directory: Path, *lists: str) -> dict:
    """Reads what `write_bundle` wrote.

    Args:
        directory: the export.
        *lists: entries that must be there, each a list.

    Raises:
        UserError: `directory` is no export, or its manifest is not ours.
    """
    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{directory} is not an export: {path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise UserError(f"{path} is not an export's manifest: expected a JSON object, got {type(manifest).__name__}")
    for name in lists:
        if not isinstance(manifest.get(name), list):
            raise UserError(f"{path} is not an export's manifest: it has no list {name!r}")
    return manifest


def verify_bundle(directory: Path) -> dict:
    """Compares the files with the manifest, and runs each TFLite file once.

    Returns:
        {"ok", "files" (how many), "changed", "missing", "unlisted" (names), "ran" (formats)}.

    Raises:
        UserError: `directory` is no export.
    """
    listed = {entry["path"]: entry for entry in read_manifest(directory, "files")["files"]}
    found = {entry["path"]: entry for entry in _list_files(directory)}
    same = sorted(name for name in listed if name in found and found[name]["sha256"] == listed[name]["sha256"])
    report = {
        "files": len(listed),
        "changed": sorted((set(listed) & set(found)) - set(same)),
        "missing": sorted(set(listed) - set(found)),
        "unlisted": sorted(set(found) - set(listed)),
        # Only what is known to be ours is run.
        "ran": [name for name in same if name.endswith(".tflite") and _runs(directory / name)],
    }
    expected_to_run = sum(name.endswith(".tflite") for name in listed)
    ok = not (report["changed"] or report["missing"] or report["unlisted"]) and len(report["ran"]) == expected_to_run
    return {"ok": ok, **report}


def _runs(path):
    model = TFLiteModel(path)
    zeros = {name: np.zeros([max(size, 1) for size in shape], dtype) for name, (shape, dtype) in model.inputs.items()}
    return all(np.isfinite(output).all() for output in model(**zeros).values())


def _list_files(directory):
    """Path, size and sha256 of every file but the manifest of the directory itself, sorted by path."""
    return [
        {
            "path": path.relative_to(directory).as_posix(),
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path != directory / MANIFEST
    ]
