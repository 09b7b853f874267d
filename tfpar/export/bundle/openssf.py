"""Reads and writes `model.sig`, an OpenSSF Model Signing bundle: a DSSE envelope with the sha256 of every file.

Writing needs the package model-signing; its command verifies the same file. Reading needs `cryptography` alone.
See https://github.com/ossf/model-signing-spec and https://github.com/secure-systems-lab/dsse (protocol 1.0).
"""

import base64
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tfpar.errors import ChangedFileError, MissingExtraError
from tfpar.export.bundle.keys import foreign_signature, import_cryptography

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

OPENSSF_SIGNATURE = "model.sig"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_HASHES = {256: "SHA256", 384: "SHA384", 521: "SHA512"}  # by the bits of the curve


def check_openssf_installed() -> None:
    """Raise MissingExtraError if model-signing is not installed."""
    _import_model_signing()


def sign_directory(directory: Path, signing_key: "EllipticCurvePrivateKey") -> None:
    """Write `model.sig`, which signs all other files of a directory.

    Args:
        directory: a complete export.
        signing_key: of one of the curves P-256, P-384 and P-521.

    Raises:
        MissingExtraError: model-signing is not installed.
    """
    hashing, signing = _import_model_signing()
    path = directory / OPENSSF_SIGNATURE
    config = hashing.Config().set_ignored_paths(paths=[OPENSSF_SIGNATURE], ignore_git_paths=False)
    with tempfile.TemporaryDirectory() as temporary:  # only its owner can read it; model-signing reads keys from files
        key_path = Path(temporary) / "key.pem"
        with open(key_path, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(_private_pem(signing_key))
        signer = signing.Config().use_elliptic_key_signer(private_key=key_path)
        signer.set_hashing_config(config).sign(directory, path)
    path.write_bytes(_serialize(json.loads(path.read_bytes())))


def check_openssf_signature(
    manifest: bytes, signature: bytes, public_key: "EllipticCurvePublicKey | None" = None
) -> str:
    """Verify that a bundle signs a manifest.

    Args:
        manifest, signature: the bytes of `manifest.json` and `model.sig`.
        public_key: the key that must have signed; None: the signature itself is not checked, since a bundle contains
            no key, only a fingerprint.

    Returns:
        The key's fingerprint: the sha256 of its PEM.

    Raises:
        ChangedFileError: the bundle does not sign this manifest, or is malformed.
        UntrustedExportError: another key has signed.
    """
    key, payload, value = _parse(signature)
    if public_key is not None:
        _check_signer(key, payload, value, public_key)
    if _digest_of_manifest(payload) != hashlib.sha256(manifest).hexdigest():
        raise ChangedFileError("manifest.json", f"its sha256 is not the one in {OPENSSF_SIGNATURE}")
    return key


def _check_signer(key, payload, value, public_key):
    primitives = import_cryptography()
    from cryptography.exceptions import InvalidSignature

    bits = getattr(getattr(public_key, "curve", None), "key_size", None)
    if bits not in _HASHES or key != _fingerprint(public_key):
        raise foreign_signature(OPENSSF_SIGNATURE, key)
    algorithm = primitives.asymmetric.ec.ECDSA(getattr(primitives.hashes, _HASHES[bits])())
    signed = b"DSSEv1 %d %s %d %s" % (len(_PAYLOAD_TYPE), _PAYLOAD_TYPE.encode(), len(payload), payload)
    try:
        public_key.verify(value, signed, algorithm)
    except InvalidSignature as error:
        raise ChangedFileError(OPENSSF_SIGNATURE, "its signature does not match its content") from error


def _fingerprint(public_key):
    forms = import_cryptography().serialization
    pem = public_key.public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def _private_pem(signing_key):
    forms = import_cryptography().serialization
    return signing_key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())


def _parse(content) -> tuple[str, bytes, bytes]:
    """Parse the key's fingerprint, the payload and the signature; refuse bytes that `_serialize` would not write."""
    try:
        fields = json.loads(content)
        key = fields["verificationMaterial"]["publicKey"]["hint"]
        envelope = fields["dsseEnvelope"]
        (signed,) = envelope["signatures"]
        payload, value = (base64.b64decode(text, validate=True) for text in (envelope["payload"], signed["sig"]))
        expected = _make_bundle(fields["mediaType"], key, payload, value)
        if isinstance(key, str) and fields == expected and _serialize(fields) == content:
            return key, payload, value
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise ChangedFileError(OPENSSF_SIGNATURE, "it is not a bundle signed by a key, as tfpar seal writes it")


def _make_bundle(media_type, key, payload, value):
    payload, value = (base64.b64encode(content).decode() for content in (payload, value))
    envelope = {"payload": payload, "payloadType": _PAYLOAD_TYPE, "signatures": [{"sig": value, "keyid": ""}]}
    material = {"publicKey": {"hint": key}, "tlogEntries": []}
    return {"mediaType": media_type, "verificationMaterial": material, "dsseEnvelope": envelope}


def _serialize(fields):
    return (json.dumps(fields, indent=2) + "\n").encode()


def _digest_of_manifest(payload) -> str | None:
    """Return the sha256 of `manifest.json` in a statement; None if it has none."""
    try:
        resources = json.loads(payload)["predicate"]["resources"]
        found = [entry for entry in resources if entry["name"] == "manifest.json" and entry["algorithm"] == "sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return found[0]["digest"] if len(found) == 1 else None


def _import_model_signing():
    try:
        from model_signing import hashing, signing
    except ImportError as error:
        raise MissingExtraError("model-signing", "openssf", "to write OpenSSF signatures") from error
    return hashing, signing
