"""Reads and writes export directories: files, a manifest that lists them, and a card that describes them."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tfpar.errors import ChangedFileError, UntrustedExportError, UserError
from tfpar.export.bundle.encryption import decrypt, is_known_encryption
from tfpar.export.bundle.entries import list_entries, read_entry
from tfpar.export.bundle.manifest import MANIFEST, MANIFEST_VERSION, Manifest, list_files
from tfpar.export.bundle.origin import check_origin, find_signature, sign_export
from tfpar.files import check_writable_directory, directory_written_atomically

if TYPE_CHECKING:
    from tfpar.export.bundle.keys import PrivateKey, PublicKey


EMPTY_DIRECTORY = "saved_model/assets/"  # TensorFlow makes it, also where there are no assets


@contextlib.contextmanager
def write_bundle(path: Path | str, manifest: dict, signing_key: "PrivateKey | None" = None) -> Iterator[Path]:
    """Write an export atomically: yield an empty directory, which becomes `path` if the body succeeds.

    Args:
        path: the export directory; an export that exists there is replaced as a whole.
        manifest: fields beside the list of files. It is read after the body, which may add fields.
        signing_key: a private key. Ed25519: it signs the manifest in `manifest.sig`; of an elliptic curve of NIST: it
            signs all files in the OpenSSF bundle `model.sig`; None: not signed.

    Raises:
        UserError: the directory cannot be written.
        MissingExtraError: a package for the signature is not installed.
    """
    with directory_written_atomically(Path(path), signed_by=MANIFEST) as directory:
        yield directory
        listed = {"manifest_version": MANIFEST_VERSION, **manifest, "files": list_files(directory)}
        content = (json.dumps(listed, indent=2) + "\n").encode()
        (directory / MANIFEST).write_bytes(content)
        if signing_key is not None:
            sign_export(directory, content, signing_key)


def check_writable(path: Path | str) -> None:
    """Check before training that an export can be written to `path`; raise UserError otherwise."""
    check_writable_directory(Path(path), signed_by=MANIFEST)


class Bundle:
    """An export directory whose files are checked against the manifest, and the manifest against its signature.

    Args:
        directory: the export.
        encryption_key: 32 bytes, for the files of an encrypted export.
        public_key: the key, Ed25519 or of an elliptic curve, that must have signed. A signed or encrypted export needs
            it.
        allow_unsigned: accept an export that `public_key` has not signed. Then whoever could write to it may have
            changed any file.

    Attributes:
        directory: the export.
        manifest: a `Manifest`.
        signature: {"key": fingerprint of the key that signed, "trusted": whether it is `public_key`}; None: unsigned.
        is_encrypted: whether the files are encrypted.

    Raises:
        UserError: `directory` is not an export; its version or its encryption is unknown; or an encryption key is given
            and the export is not encrypted.
        UntrustedExportError: it is not signed by `public_key`, or it is sealed and there is no `public_key`.
        ChangedFileError: the signature does not match the manifest.
        MissingExtraError: it is signed, and `cryptography` is not installed.
    """

    def __init__(
        self,
        directory: Path | str,
        encryption_key: bytes | None = None,
        public_key: "PublicKey | None" = None,
        allow_unsigned: bool = False,
    ):
        self.directory = Path(directory)
        self._encryption_key = encryption_key
        path = self.directory / MANIFEST
        try:
            content = read_entry(self.directory, MANIFEST)
        except OSError as error:
            raise UserError(f"{directory} is not an export: {path} cannot be read ({error.strerror})") from error
        self.signature = check_origin(self.directory, content, public_key, allow_unsigned)
        self.manifest = Manifest(content, path)
        self.is_encrypted = self._check_encryption()
        if self.is_encrypted and self.signature is None and not allow_unsigned:
            raise UntrustedExportError(
                f"{directory} is encrypted, but its signature is missing. Get the signed export from its source, or "
                "give `allow_unsigned` to use an export of unknown origin"
            )

    def _check_encryption(self):
        found = self.manifest.get("encryption")
        if found is not None and not is_known_encryption(found):
            raise UserError(
                f"{self.directory / MANIFEST} names an encryption that this tfpar does not know: {found!r}. Install "
                "the tfpar that sealed it, or a newer one"
            )
        # Otherwise an attacker could replace encrypted files with plain ones.
        if found is None and self._encryption_key is not None:
            raise UserError(
                f"{self.directory} is not encrypted, but `encryption_key` is given. Omit it if the export is meant to "
                "be plain"
            )
        return found is not None

    @property
    def trusted_key(self) -> str | None:
        """Fingerprint of `public_key` if it has signed the export, else None."""
        return self.signature["key"] if self.signature and self.signature["trusted"] else None

    @property
    def is_sealed(self) -> bool:
        """Whether the export is signed or encrypted."""
        return self.signature is not None or self.is_encrypted

    @property
    def is_readable(self) -> bool:
        """Whether files can be read: they are plain, or there is an encryption key."""
        return not self.is_encrypted or self._encryption_key is not None

    def list_unlisted(self) -> list[str]:
        """List entries on disk that the manifest does not: files, links, FIFOs, and empty directories as "name/"."""
        known = {MANIFEST, find_signature(self.directory), EMPTY_DIRECTORY, *self.manifest.files()}
        return sorted(set(list_entries(self.directory)) - known)

    def check_entries(self) -> None:
        """Raise ChangedFileError if there is an entry that the manifest does not list."""
        if unlisted := self.list_unlisted():
            raise ChangedFileError(unlisted[0], f"it is not listed in {self.directory / MANIFEST}")

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
            content = read_entry(self.directory, name)
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ChangedFileError(name, f"its sha256 is not the one in {MANIFEST}")
        if not self.is_encrypted:
            return content
        if self._encryption_key is None:
            raise UserError(f"{path} is encrypted; give `encryption_key`")
        return decrypt(content, self._encryption_key, name, self.manifest["encryption"])
