"""Encryption of an export's files: AES-256-GCM, one nonce per file, bound to the file's path."""

import os

from tfpar.errors import UserError
from tfpar.export.bundle.keys import import_cryptography

_NONCE_BYTES = 12
LARGEST_BYTES = 2**31 - 1  # limit of AESGCM for one call

# The field "encryption" in the manifest of an encrypted export.
ENCRYPTION = {
    "algorithm": "AES-256-GCM",
    "layout": "nonce (12 bytes), ciphertext, tag (16 bytes)",
    "associated_data": "the file's path in the bundle, UTF-8",
}


def encrypt(content: bytes, key: bytes, name: str) -> bytes:
    """Encrypt a file.

    Args:
        content: of the file.
        key: 32 bytes.
        name: the file's path in the bundle, which `decrypt` verifies, so that files cannot be swapped.

    Returns:
        Nonce, ciphertext and tag.

    Raises:
        UserError: the file is too large.
    """
    if len(content) > LARGEST_BYTES:
        raise UserError(f"{name} has {len(content):,} bytes; at most {LARGEST_BYTES:,} can be encrypted. Remove it")
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher(key).encrypt(nonce, content, name.encode())


def decrypt(content: bytes, key: bytes, name: str) -> bytes:
    """Decrypt a file.

    Args:
        content: that `encrypt` returned.
        key, name: that `encrypt` was called with.

    Raises:
        UserError: the key or the name differ from those used for encryption.
    """
    cipher = _cipher(key)
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], name.encode())
    except (InvalidTag, ValueError) as error:
        raise UserError(
            f"{name} cannot be decrypted: `encryption_key` is not the key that it was encrypted with, or the file was "
            "replaced"
        ) from error


def _cipher(key):
    return import_cryptography().ciphers.aead.AESGCM(key)
