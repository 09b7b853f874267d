"""Signs exports, and checks their origin: a signature of either format, by a pinned public key."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tfpar.errors import UntrustedExportError, UserError
from tfpar.export.bundle.entries import read_entry
from tfpar.export.bundle.openssf import OPENSSF_SIGNATURE, check_openssf_signature, sign_directory
from tfpar.export.bundle.signature import SIGNATURE, check_signature, sign

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from tfpar.export.bundle.keys import PrivateKey, PublicKey

_CHECKS: dict[str, Callable[..., str]] = {SIGNATURE: check_signature, OPENSSF_SIGNATURE: check_openssf_signature}


def find_signature(directory: Path) -> str | None:
    """Return the name of the file with an export's signature; None if it is not signed."""
    return next((name for name in _CHECKS if (directory / name).is_symlink() or (directory / name).exists()), None)


def sign_export(directory: Path, manifest: bytes, signing_key: "PrivateKey") -> None:
    """Write the signature of the key's format: OpenSSF's for a key on an elliptic curve of NIST, else tfpar's.

    Args:
        directory: a complete export.
        manifest: the bytes of its `manifest.json`.
        signing_key: the signer's.

    Raises:
        MissingExtraError: a package for the signature is not installed.
    """
    if hasattr(signing_key, "curve"):
        sign_directory(directory, cast("EllipticCurvePrivateKey", signing_key))
    else:
        (directory / SIGNATURE).write_bytes(sign(manifest, cast("Ed25519PrivateKey", signing_key)))


def check_origin(
    directory: Path, manifest: bytes, public_key: "PublicKey | None" = None, allow_unsigned: bool = False
) -> dict[str, Any] | None:
    """Verify the signature of an export's manifest.

    Args:
        directory: the export.
        manifest: the bytes of its `manifest.json`.
        public_key: the key that must have signed.
        allow_unsigned: whether to accept an export that `public_key` has not signed.

    Returns:
        {"key": fingerprint of the key that signed, "trusted": whether it is `public_key`}; None: not signed.

    Raises:
        UntrustedExportError: without `allow_unsigned`: the export is signed and there is no `public_key`, or there is
            one and it has not signed.
        ChangedFileError: the signature does not match the manifest.
        UserError: the signature cannot be read.
    """
    name = find_signature(directory)
    if name is None:
        if public_key is None or allow_unsigned:
            return None
        raise UntrustedExportError(
            f"{directory} is not signed, but `public_key` is given: {SIGNATURE} is missing. Get the signed export from "
            "its source, or give `allow_unsigned` to use an export of unknown origin"
        )
    try:
        signature = read_entry(directory, name)
    except OSError as error:
        raise UserError(f"{directory / name} cannot be read: {error.strerror}") from error
    try:
        key = _CHECKS[name](manifest, signature, public_key)
    except UntrustedExportError:
        if not allow_unsigned:
            raise
        return {"key": _CHECKS[name](manifest, signature), "trusted": False}
    if public_key is None and not allow_unsigned:
        raise UntrustedExportError(
            f"{directory} is signed by the key {key}, but there is no `public_key` to check its origin. Give the "
            "signer's .public.pem, or `allow_unsigned` to use an export of unknown origin"
        )
    return {"key": key, "trusted": public_key is not None}
