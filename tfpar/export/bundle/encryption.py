"""Encryption of an export's files: AES-256-GCM, one nonce per file, bound to the export and the file's path."""

import os
import re
import secrets

from tfpar.errors import UserError
from tfpar.export.bundle.keys import import_cryptography

_NONCE_BYTES = 12
LARGEST_BYTES = 2**31 - 1  # limit of AESGCM for one call

# The field "encryption" in the manifest of an encrypted export, without the export's id.
_SCHEME = {
    "algorithm": "AES-256-GCM",
    "layout": "nonce (12 bytes), ciphertext, tag (16 bytes)",
    "associated_data": "the export's id, a line feed, and the file's path in the export, UTF-8",
}
# Before 0.2 a file could be swapped for one of the same path from another export with the same key.
_SCHEME_WITHOUT_ID = {**_SCHEME, "associated_data": "the file's path in the bundle, UTF-8"}
_ID = re.compile("[0-9a-f]{32}")


def new_encryption() -> dict[str, str]:
    """Return the field "encryption" for the manifest of a new export, with a random "export_id"."""
    return {**_SCHEME, "export_id": secrets.token_hex(16)}


def is_known_encryption(encryption: object) -> bool:
    """Whether `encryption`, a field of a manifest, is one that `decrypt` supports."""
    if encryption == _SCHEME_WITHOUT_ID:
        return True
    if not isinstance(encryption, dict) or not isinstance(encryption.get("export_id"), str):
        return False
    is_id = _ID.fullmatch(encryption["export_id"]) is not None
    return is_id and {key: value for key, value in encryption.items() if key != "export_id"} == _SCHEME


def encrypt(content: bytes, key: bytes, name: str, encryption: dict[str, str]) -> bytes:
    """Encrypt a file.

    Args:
        content: of the file.
        key: 32 bytes.
        name: the file's path in the export. `decrypt` verifies it, so that files cannot be swapped.
        encryption: of `new_encryption`. `decrypt` verifies its "export_id", so that files of other exports are refused.

    Returns:
        Nonce, ciphertext and tag.

    Raises:
        UserError: the file is too large.
    """
    if len(content) > LARGEST_BYTES:
        raise UserError(f"{name} has {len(content):,} bytes; at most {LARGEST_BYTES:,} can be encrypted. Remove it")
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher(key).encrypt(nonce, content, _associated_data(name, encryption))


def decrypt(content: bytes, key: bytes, name: str, encryption: dict[str, str]) -> bytes:
    """Decrypt a file.

    Args:
        content: that `encrypt` returned.
        key, name: that `encrypt` was called with.
        encryption: the field of the manifest; `is_known_encryption` holds.

    Raises:
        UserError: the key, the name or the export's id differ from those used for encryption.
    """
    cipher = _cipher(key)
    from cryptography.exceptions import InvalidTag

    nonce, ciphertext = content[:_NONCE_BYTES], content[_NONCE_BYTES:]
    try:
        return cipher.decrypt(nonce, ciphertext, _associated_data(name, encryption))
    except (InvalidTag, ValueError) as error:
        raise UserError(
            f"{name} cannot be decrypted: `encryption_key` is not the key that it was encrypted with, or the file was "
            "replaced, perhaps by one of another export"
        ) from error


def _associated_data(name, encryption):
    export_id = encryption.get("export_id")
    return (f"{export_id}\n{name}" if export_id else name).encode()


def _cipher(key):
    return import_cryptography().ciphers.aead.AESGCM(key)
