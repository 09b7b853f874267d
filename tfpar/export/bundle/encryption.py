"""Encrypted files of an export: AES-256-GCM, one nonce a file, bound to the file's place."""

import os

from tfpar.errors import UserError
from tfpar.export.bundle.keys import import_cryptography

_NONCE_BYTES = 12
LARGEST_BYTES = 2**31 - 1  # that AESGCM takes in one piece

# What the manifest of an encrypted export says.
ENCRYPTION = {
    "algorithm": "AES-256-GCM",
    "layout": "nonce (12 bytes), ciphertext, tag (16 bytes)",
    "associated_data": "the file's path in the bundle, UTF-8",
}


def encrypt(content: bytes, key: bytes, name: str) -> bytes:
    """Encrypts a file.

    Args:
        content: of the file.
        key: 32 bytes.
        name: the file's path in the bundle; `decrypt` needs the same one, so that files cannot change places.

    Returns:
        Nonce, ciphertext and tag.

    Raises:
        UserError: the file is too large.
    """
    if len(content) > LARGEST_BYTES:
        raise UserError(f"{name} has {len(content):,} bytes; at most {LARGEST_BYTES:,} can be encrypted: leave it out")
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher(key).encrypt(nonce, content, name.encode())


def decrypt(content: bytes, key: bytes, name: str) -> bytes:
    """Gives back what `encrypt` was given.

    Raises:
        UserError: the key is another one, or the content was not encrypted under this name.
    """
    cipher = _cipher(key)
    from cryptography.exceptions import InvalidTag

    try:
        return cipher.decrypt(content[:_NONCE_BYTES], content[_NONCE_BYTES:], name.encode())
    except (InvalidTag, ValueError) as error:
        raise UserError(
            f"{name} cannot be decrypted: --encryption_key is not the key that it was encrypted with, or another file "
            "was put in its place"
        ) from error


def _cipher(key):
    return import_cryptography().ciphers.aead.AESGCM(key)
