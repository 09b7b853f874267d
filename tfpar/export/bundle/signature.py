"""`manifest.sig`: who vouches for a manifest, and with it for every file that it lists."""

import base64
import hashlib
import json

from tfpar.errors import ChangedFileError, UserError
from tfpar.export.bundle.keys import import_cryptography

SIGNATURE = "manifest.sig"
_ALGORITHM = "Ed25519"


def sign(manifest: bytes, signing_key) -> bytes:
    """Returns the content of `manifest.sig`.

    Args:
        manifest: the bytes of `manifest.json`.
        signing_key: an Ed25519 private key.
    """
    return _serialised(signing_key.public_key().public_bytes_raw(), signing_key.sign(manifest))


def check_signature(manifest: bytes, signature: bytes, public_key=None) -> dict:
    """Makes sure that a manifest is as it was signed.

    Args:
        manifest, signature: the bytes of `manifest.json` and `manifest.sig`.
        public_key: the Ed25519 key that must have signed; None: the one in the signature, whosever it is.

    Returns:
        {"key": the SHA-256 of the public key's 32 bytes, "trusted": whether it is `public_key`}.

    Raises:
        ChangedFileError: the signature does not fit the manifest, or is none.
        UserError: another key has signed.
    """
    from_bytes = import_cryptography().asymmetric.ed25519.Ed25519PublicKey.from_public_bytes
    key, value = _parsed(signature)
    wanted = key if public_key is None else public_key.public_bytes_raw()
    if wanted != key:
        raise UserError(
            f"{SIGNATURE} was made by the key {_fingerprint(key)}, but --public_key is {_fingerprint(wanted)}: the "
            "export comes from somebody else, or this is the wrong public key"
        )
    from cryptography.exceptions import InvalidSignature

    try:
        from_bytes(key).verify(value, manifest)
    except (InvalidSignature, ValueError) as error:
        raise ChangedFileError("manifest.json", f"the signature in {SIGNATURE} does not fit it") from error
    return {"key": _fingerprint(key), "trusted": public_key is not None}


def _fingerprint(key):
    return hashlib.sha256(key).hexdigest()


def _serialised(key, value):
    fields = {"algorithm": _ALGORITHM, "public_key": _text(key), "signature": _text(value)}
    return (json.dumps(fields, indent=2) + "\n").encode()


def _text(content):
    return base64.b64encode(content).decode()


def _parsed(signature):
    """The public key and the signature. Bytes that `sign` would not have written are refused, blanks too."""
    try:
        fields = json.loads(signature)
        key, value = (base64.b64decode(fields[name], validate=True) for name in ("public_key", "signature"))
        if _serialised(key, value) == signature:
            return key, value
    except (ValueError, KeyError, TypeError):
        pass
    raise ChangedFileError(SIGNATURE, f"it is no {_ALGORITHM} signature as tfpar seal writes them")
