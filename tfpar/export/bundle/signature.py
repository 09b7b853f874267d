"""Reads and writes `manifest.sig`, the signature of a manifest and so of every file that it lists."""

import base64
import hashlib
import json
from typing import TYPE_CHECKING

from tfpar.errors import ChangedFileError
from tfpar.export.bundle.keys import foreign_signature, import_cryptography

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE = "manifest.sig"
_ALGORITHM = "Ed25519"


def sign(manifest: bytes, signing_key: "Ed25519PrivateKey") -> bytes:
    """Sign a manifest; return the content of `manifest.sig`.

    Args:
        manifest: the bytes of `manifest.json`.
        signing_key: an Ed25519 private key.
    """
    return _serialize(signing_key.public_key().public_bytes_raw(), signing_key.sign(manifest))


def check_signature(manifest: bytes, signature: bytes, public_key: "Ed25519PublicKey | None" = None) -> str:
    """Verify the signature of a manifest.

    Args:
        manifest, signature: the bytes of `manifest.json` and `manifest.sig`.
        public_key: the Ed25519 key that must have signed; None: the one in the signature, which may be anyone's.

    Returns:
        The key's fingerprint: the sha256 of its 32 bytes.

    Raises:
        ChangedFileError: the signature does not match the manifest, or is malformed.
        UntrustedExportError: another key has signed.
    """
    ed25519 = import_cryptography().asymmetric.ed25519.Ed25519PublicKey
    key, value = _parse(signature)
    if public_key is not None and not (isinstance(public_key, ed25519) and public_key.public_bytes_raw() == key):
        raise foreign_signature(SIGNATURE, fingerprint(key))
    from cryptography.exceptions import InvalidSignature

    try:
        ed25519.from_public_bytes(key).verify(value, manifest)
    except (InvalidSignature, ValueError) as error:
        raise ChangedFileError("manifest.json", f"the signature in {SIGNATURE} does not match it") from error
    return fingerprint(key)


def fingerprint(key: bytes) -> str:
    """Return the sha256 of a public key of 32 bytes, which identifies it."""
    return hashlib.sha256(key).hexdigest()


def _serialize(key, value):
    fields = {"algorithm": _ALGORITHM, "public_key": _encode(key), "signature": _encode(value)}
    return (json.dumps(fields, indent=2) + "\n").encode()


def _encode(content):
    return base64.b64encode(content).decode()


def _parse(signature):
    """Parse the public key and the signature; refuse bytes that `sign` would not have written."""
    try:
        fields = json.loads(signature)
        key, value = (base64.b64decode(fields[name], validate=True) for name in ("public_key", "signature"))
        if _serialize(key, value) == signature:
            return key, value
    except (ValueError, KeyError, TypeError):
        pass
    raise ChangedFileError(SIGNATURE, f"it is not an {_ALGORITHM} signature that tfpar seal writes")
