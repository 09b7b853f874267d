"""Keys of sealed exports, read from files or environment variables, never from a command line.

Signatures of tfpar (`manifest.sig`) use Ed25519, those of OpenSSF Model Signing (`model.sig`) ECDSA on a curve of NIST.
"""

import base64
import binascii
import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

from tfpar.errors import MissingExtraError, UntrustedExportError, UserError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    PrivateKey: TypeAlias = Ed25519PrivateKey | EllipticCurvePrivateKey
    PublicKey: TypeAlias = Ed25519PublicKey | EllipticCurvePublicKey

SIGNATURE_FORMATS = ("tfpar", "openssf")
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
ENCRYPTION_KEY_BYTES = 32
_MOST_KEY_BYTES = 1 << 16
_PRIVATE, _PUBLIC = 0o600, 0o644


def import_cryptography() -> ModuleType:
    """Import `cryptography.hazmat.primitives` and its modules; raise MissingExtraError if it is not installed."""
    try:
        from cryptography.hazmat import primitives
        from cryptography.hazmat.primitives import hashes, serialization  # noqa: F401
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519  # noqa: F401
        from cryptography.hazmat.primitives.ciphers import aead  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("cryptography", "seal", "for signed or encrypted exports") from error
    return primitives


def foreign_signature(name: str, key: str) -> UntrustedExportError:
    """Return the error for a signature, the file `name`, by a key whose fingerprint is not that of `public_key`."""
    return UntrustedExportError(
        f"{name} was made by the key {key}, which is not `public_key`: someone else has signed the export, or this is "
        "the wrong public key. Get the export or the key again, or give `allow_unsigned` to use an export of unknown "
        "origin"
    )


def new_signing_key(prefix: str, signature_format: str = "tfpar") -> dict[str, str]:
    """Write `prefix`.private.pem, readable only by its owner, and `prefix`.public.pem; return their paths.

    Args:
        prefix: of the two paths.
        signature_format: "tfpar", an Ed25519 key; "openssf", an ECDSA key on the curve P-256.

    Raises:
        UserError: one of them exists already, or cannot be written.
    """
    primitives = import_cryptography()
    if signature_format == "openssf":
        ec = primitives.asymmetric.ec
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = primitives.asymmetric.ed25519.Ed25519PrivateKey.generate()
    pem, forms = primitives.serialization.Encoding.PEM, primitives.serialization
    private = key.private_bytes(pem, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    public = key.public_key().public_bytes(pem, forms.PublicFormat.SubjectPublicKeyInfo)
    paths = {"private_key": Path(f"{prefix}.private.pem"), "public_key": Path(f"{prefix}.public.pem")}
    with _new_file(paths["private_key"], private, _PRIVATE), _new_file(paths["public_key"], public, _PUBLIC):
        return {name: str(path) for name, path in paths.items()}


def new_encryption_key(path: str) -> dict[str, str]:
    """Write a random key of 32 bytes in base64, readable only by its owner; return its path.

    Raises:
        UserError: the file exists already, or cannot be written.
    """
    content = base64.b64encode(os.urandom(ENCRYPTION_KEY_BYTES)) + b"\n"
    with _new_file(Path(path), content, _PRIVATE):
        return {"encryption_key": path}


def read_signing_key(source: str, signature_format: str = "tfpar") -> "PrivateKey":
    """Read a private key, as PEM without a password.

    Args:
        source: "file:PATH" or "env:NAME".
        signature_format: "tfpar", an Ed25519 key; "openssf", an ECDSA key on the curve P-256, P-384 or P-521.

    Raises:
        UserError: `source` is something else, cannot be read, can be read by others, or holds no such key. No message
            repeats a key.
    """
    primitives = import_cryptography()
    content = _read_secret("signing_key", source)
    kind = "an Ed25519" if signature_format == "tfpar" else "a P-256, P-384 or P-521"
    return _load(
        lambda: primitives.serialization.load_pem_private_key(content, None),
        lambda key: _format_of(key.public_key()) == signature_format,
        f"`signing_key` {source} must hold {kind} private key as PEM, without a password, for the format "
        f"{signature_format}. `tfpar seal` can write one",
    )


def read_public_key(path: str) -> "PublicKey":
    """Read a public key, Ed25519 or on the curve P-256, P-384 or P-521, from a PEM file.

    Raises:
        UserError: the file cannot be read, or holds none.
    """
    primitives = import_cryptography()
    content = _read_file(f"`public_key` {path}", Path(path))
    return _load(
        lambda: primitives.serialization.load_pem_public_key(content),
        lambda key: _format_of(key) is not None,
        f"`public_key` {path} must hold an Ed25519 public key as PEM, or one on the curve P-256, P-384 or P-521, such "
        "as the .public.pem of a signing key",
    )


def _format_of(public_key) -> str | None:
    """Return the format of the signatures that a public key verifies; None: neither."""
    if isinstance(public_key, import_cryptography().asymmetric.ed25519.Ed25519PublicKey):
        return "tfpar"
    curve = getattr(public_key, "curve", None)
    return "openssf" if getattr(curve, "name", None) in _CURVES else None


def read_encryption_key(source: str) -> bytes:
    """Read a key of 32 bytes in base64.

    Args:
        source: "file:PATH" or "env:NAME".

    Raises:
        UserError: as of `read_signing_key`.
    """
    expected = f"`encryption_key` {source} must hold {ENCRYPTION_KEY_BYTES} bytes in base64"
    try:
        key = base64.b64decode(_read_secret("encryption_key", source).strip(), validate=True)
    except binascii.Error:
        raise UserError(f"{expected}; got no base64. `tfpar seal` can write a key") from None
    if len(key) != ENCRYPTION_KEY_BYTES:
        raise UserError(f"{expected}; got {len(key)} bytes. `tfpar seal` can write a key")
    return key


def _read_secret(argument, source) -> bytes:
    kind, _, name = source.partition(":")
    if kind == "file":
        return _read_file(f"`{argument}` {source}", Path(name), is_secret=True)
    if kind != "env" or not name.isidentifier():  # env:$KEY would be the key
        raise UserError(
            f"`{argument}` must be file:PATH or env:NAME. A literal key is refused, since other users of this machine "
            "see command lines, and shells store them"
        )
    if name not in os.environ:
        raise UserError(f"`{argument}` {source}: there is no environment variable {name!r}")
    return os.fsencode(os.environ[name])


def _read_file(argument, path, is_secret=False) -> bytes:
    # FIFOs are allowed, since shells pass secrets as <(command); so the size is limited instead of the kind of file.
    try:
        with open(path, "rb") as file:
            if is_secret:
                _check_private(argument, path, os.fstat(file.fileno()).st_mode)
            content = file.read(_MOST_KEY_BYTES + 1)
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"{argument} cannot be read: {getattr(error, 'strerror', error)}") from error
    if len(content) > _MOST_KEY_BYTES:
        raise UserError(f"{argument} must be a file of at most {_MOST_KEY_BYTES:,} bytes; got more. Name a key file")
    return content


def _check_private(argument, path, mode):
    if os.name == "posix" and stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UserError(
            f"{argument} must be readable by its owner alone; its mode is {stat.S_IMODE(mode):04o}. Run: chmod 600 "
            f"{path}, and replace the key if others may have read it"
        )


def _load(load, is_expected, expected):
    """Load a key of one kind. Errors of the library are suppressed, since they might quote the content."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        key = load()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UserError(expected) from None
    if not is_expected(key):
        raise UserError(f"{expected}; got another kind of key")
    return key


@contextlib.contextmanager
def _new_file(path, content, mode) -> Iterator[None]:
    """Create a file; remove it again if writing it, or the body, fails."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise UserError(f"{path} exists already and will not be overwritten. Name another path") from None
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise
