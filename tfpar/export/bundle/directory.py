"""Reads and writes export directories: files, a manifest that lists them, and a card that describes them."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tfpar.errors import ChangedFileError, UserError
from tfpar.export.bundle.encryption import ENCRYPTION, decrypt
from tfpar.export.bundle.manifest import MANIFEST, Manifest, list_files
from tfpar.export.bundle.signature import SIGNATURE, check_signature, sign
from tfpar.files import check_writable_directory, directory_written_atomically, read_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


@contextlib.contextmanager
def write_bundle(path: Path | str, manifest: dict, signing_key: "Ed25519PrivateKey | None" = None) -> Iterator[Path]:
    """Write an export atomically: yield an empty directory, which becomes `path` if the body succeeds.

    Args:
        path: the export directory; an export that exists there is replaced as a whole.
        manifest: fields beside the list of files. It is read after the body, which may add fields.
        signing_key: an Ed25519 private key that signs the manifest; None: it is not signed.

    Raises:
        UserError: the directory cannot be written.
    """
    with directory_written_atomically(Path(path), signed_by=MANIFEST) as directory:
        yield directory
        listed = {"manifest_version": 1, **manifest, "files": list_files(directory)}
        content = (json.dumps(listed, indent=2) + "\n").encode()
        (directory / MANIFEST).write_bytes(content)
        if signing_key is not None:
            (directory / SIGNATURE).write_bytes(sign(content, signing_key))


def check_writable(path: Path | str) -> None:
    """Check before training that an export can be written to `path`; raise UserError otherwise."""
    check_writable_directory(Path(path), signed_by=MANIFEST)


class Bundle:
    """An export directory whose files are checked against the manifest, and the manifest against its signature.

    Args:
        directory: the export.
        encryption_key: 32 bytes, for the files of an encrypted export.
        public_key: the Ed25519 key that must have signed; None: a signature, if there is one, is checked by the key
            that it contains.

    Attributes:
        directory: the export.
        manifest: a `Manifest`.
        signature: {"key": fingerprint of the key that signed, "trusted": whether it is `public_key`}; None: unsigned.
        is_encrypted: whether the files are encrypted.

    Raises:
        UserError: `directory` is not an export or is not signed by `public_key`; its encryption is unknown; or a key is
            given and the export is not encrypted.
        ChangedFileError: the signature does not match the manifest.
        MissingExtraError: it is signed, and `cryptography` is not installed.
    """

    def __init__(
        self,
        directory: Path | str,
        encryption_key: bytes | None = None,
        public_key: "Ed25519PublicKey | None" = None,
    ):
        self.directory = Path(directory)
        self._encryption_key = encryption_key
        path = self.directory / MANIFEST
        try:
            content = read_file(path)
        except OSError as error:
            raise UserError(f"{directory} is not an export: {path} cannot be read ({error.strerror})") from error
        self.signature = self._check_signature(content, public_key)
        self.manifest = Manifest(content, path)
        self.is_encrypted = self._check_encryption()

    def _check_signature(self, manifest, public_key):
        path = self.directory / SIGNATURE
        try:
            signature = read_file(path)
        except FileNotFoundError as error:
            if public_key is None:
                return None
            raise UserError(f"{self.directory} is not signed: `public_key` needs {path}, which is missing") from error
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from error
        return check_signature(manifest, signature, public_key)

    def _check_encryption(self):
        found = self.manifest.get("encryption")
        if found not in (None, ENCRYPTION):
            raise UserError(f"{self.directory / MANIFEST} names an encryption that this tfpar does not know: {found!r}")
        # Otherwise an attacker could replace encrypted files with plain ones.
        if found is None and self._encryption_key is not None:
            raise UserError(
                f"{self.directory} is not encrypted, but `encryption_key` is given. Omit it if the export is meant to "
                "be plain"
            )
        return found is not None

    @property
    def is_readable(self) -> bool:
        """Whether files can be read: they are plain, or there is an encryption key."""
        return not self.is_encrypted or self._encryption_key is not None

    def read(self, name: str) -> bytes:
        """Read a listed file, decrypted in memory.

        Args:
            name: the file's path in the export.

        Raises:
            UserError: the manifest does not list the file, or it cannot be read or decrypted.
            ChangedFileError: its sha256 differs from that in the manifest.
        """
        path, sha256 = self.directory / name, self.manifest.files().get(name)
        if sha256 is None:
            raise UserError(f"{path} is not listed in {MANIFEST}; get the whole export again from where it was made")
        try:
            content = read_file(path)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ChangedFileError(name, f"its sha256 is not the one in {MANIFEST}")
        if not self.is_encrypted:
            return content
        if self._encryption_key is None:
            raise UserError(f"{path} is encrypted; give `encryption_key`")
        return decrypt(content, self._encryption_key, name)
