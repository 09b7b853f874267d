"""Reads `manifest.json`, the facts about an export and the sha256 of each of its files."""

import hashlib
import json
from pathlib import Path, PurePosixPath

from tfpar.errors import UserError
from tfpar.export.bundle.signature import SIGNATURE

MANIFEST = "manifest.json"
MANIFEST_VERSION = 1  # the newest that this tfpar reads, and the one that it writes


class Manifest(dict):
    """A manifest as a dict.

    Args:
        content: the bytes of the file.
        path: of the file, for errors.

    Raises:
        UserError: the content is not a JSON object, or its version is newer than `MANIFEST_VERSION`.
    """

    def __init__(self, content: bytes, path: Path):
        self._path = path
        try:
            fields = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path} is not valid JSON: {error}") from error
        if not isinstance(fields, dict):
            raise UserError(f"{path} is not an export's manifest: expected a JSON object, got {type(fields).__name__}")
        super().__init__(fields)
        self._check_version()

    def _check_version(self):
        version = self.get("manifest_version")
        if isinstance(version, bool) or not isinstance(version, int) or version < 1:
            raise UserError(
                f"{self._path} is not an export's manifest: manifest_version must be an integer from 1; got {version!r}"
            )
        if version > MANIFEST_VERSION:
            raise UserError(
                f"{self._path} has the manifest_version {version}; this tfpar reads {MANIFEST_VERSION} at most. "
                "Install a newer tfpar"
            )

    def entries(self, name: str, *keys: str) -> list[dict]:
        """Return the list `name`, whose entries have these keys, with text; raise UserError if there is none."""
        entries = self.get(name)
        if not isinstance(entries, list):
            raise UserError(f"{self._path} is not an export's manifest: it has no list {name!r}")
        for entry in entries:
            if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in keys):
                raise UserError(f"{self._path}: each of {name!r} must be an object with {', '.join(keys)}; got {entry}")
        return entries

    def files(self) -> dict[str, str]:
        """Return the sha256 of each listed file by its path; raise UserError if a path is outside the directory."""
        files = {entry["path"]: entry["sha256"] for entry in self.entries("files", "path", "sha256")}
        for name in files:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or str(path) != name or name == "." or not name.isprintable():
                raise UserError(f"{self._path} lists {name!r}, which is not a path within the export")
        return files


def list_files(directory: Path) -> list[dict]:
    """List path, size and sha256 of every file except the manifest and its signatures, sorted by path."""
    return [
        {
            "path": path.relative_to(directory).as_posix(),
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path not in (directory / MANIFEST, directory / SIGNATURE)
    ]
