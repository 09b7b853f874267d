"""An export directory: files, a manifest that lists them, a card that tells about them."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from tfpar.errors import ChangedFileError, UserError
from tfpar.export.bundle.encryption import ENCRYPTION, decrypt
from tfpar.export.bundle.manifest import MANIFEST, Manifest, list_files
from tfpar.export.bundle.signature import SIGNATURE, check_signature, sign
from tfpar.files import check_writable_directory, directory_written_atomically, read_file


@contextlib.contextmanager
def write_bundle(path: Path | str, manifest: dict, signing_key=None) -> Iterator[Path]:
    """Yields an empty directory to put files into; they become `path`, with a manifest, if the body succeeds.

    Args:
        path: the export directory; a former export there is replaced as a whole.
        manifest: what to say beside the list of files. It is read after the body, which may add to it.
        signing_key: an Ed25519 private key to sign the manifest with; None: it is not signed.
    """
    with directory_written_atomically(Path(path), signed_by=MANIFEST) as directory:
        yield directory
        listed = {"manifest_version": 1, **manifest, "files": list_files(directory)}
        content = (json.dumps(listed, indent=2) + "\n").encode()
        (directory / MANIFEST).write_bytes(content)
        if signing_key is not None:
            (directory / SIGNATURE).write_bytes(sign(content, signing_key))


def check_writable(path: Path | str) -> None:
    """Makes sure, before training, that an export can be written to `path`; raises UserError otherwise."""
    check_writable_directory(Path(path), signed_by=MANIFEST)


class Bundle:
    """Reads an export; files that do not fit the manifest, and a manifest that does not fit its signature, are refused.

    Args:
        directory: the export.
        encryption_key: 32 bytes, for the files of an encrypted export.
        public_key: the Ed25519 key that must have signed; None: a signature is checked if there is one, by the key in
            it.

    Attributes:
        directory: the export.
        manifest: a `Manifest`.
        signature: {"key": fingerprint of the key that signed, "trusted": whether it is `public_key`}; None: unsigned.
        is_encrypted: whether its files are.

    Raises:
        UserError: `directory` is no export; it is not signed by `public_key`; it is encrypted in an unknown way or,
            though a key is given, not at all.
        ChangedFileError: manifest and signature do not fit.
        MissingExtraError: it is signed, and `cryptography` is not installed.
    """

    def __init__(self, directory: Path | str, encryption_key: bytes | None = None, public_key=None):
        self.directory = Path(directory)
        self._encryption_key = encryption_key
        path = self.directory / MANIFEST
        try:
            content = read_file(path)
        except OSError as error:
            raise UserError(f"{directory} is not an export: {path} cannot be read ({error.strerror})") from error
        self.signature = self._checked_signature(content, public_key)
        self.manifest = Manifest(content, path)
        self.is_encrypted = self._checked_encryption()

    def _checked_signature(self, manifest, public_key):
        path = self.directory / SIGNATURE
        try:
            signature = read_file(path)
        except FileNotFoundError as error:
            if public_key is None:
                return None
            raise UserError(f"{self.directory} is not signed: --public_key needs {path}, which is not there") from error
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from error
        return check_signature(manifest, signature, public_key)

    def _checked_encryption(self):
        found = self.manifest.get("encryption")
        if found not in (None, ENCRYPTION):
            raise UserError(f"{self.directory / MANIFEST} names an encryption that this tfpar does not know: {found!r}")
        # Else whoever puts plain files in the place of encrypted ones would go unnoticed.
        if found is None and self._encryption_key is not None:
            raise UserError(
                f"{self.directory} is not encrypted, but --encryption_key is given; leave it out if that is right"
            )
        return found is not None

    @property
    def can_be_read(self) -> bool:
        """Whether files can be: they are plain, or a key is there."""
        return not self.is_encrypted or self._encryption_key is not None

    def read(self, name: str) -> bytes:
        """The content of a listed file, decrypted in memory.

        Args:
            name: the file's path in the export.

        Raises:
            UserError: the manifest does not list it; it cannot be read, or not be decrypted.
            ChangedFileError: its sha256 is not the manifest's.
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
        if not self.can_be_read:
            raise UserError(f"{path} is encrypted; give --encryption_key file:PATH or env:NAME")
        return decrypt(content, self._encryption_key, name) if self.is_encrypted else content
