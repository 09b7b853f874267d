"""Keys of sealed exports, read from files or environment variables, never from a command line."""

import base64
import binascii
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from tfpar.errors import MissingExtraError, UserError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ENCRYPTION_KEY_BYTES = 32
_MOST_KEY_BYTES = 1 << 16
_PRIVATE, _PUBLIC = 0o600, 0o644


def import_cryptography() -> ModuleType:
    """Import `cryptography.hazmat.primitives` and its modules; raise MissingExtraError if it is not installed."""
    try:
        from cryptography.hazmat import primitives
        from cryptography.hazmat.primitives import serialization  # noqa: F401
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: F401
        from cryptography.hazmat.primitives.ciphers import aead  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("cryptography", "seal", "for signed or encrypted exports") from error
    return primitives


def new_signing_key(prefix: str) -> dict[str, str]:
    """Write `prefix`.private.pem, readable only by its owner, and `prefix`.public.pem; return their paths.

    Raises:
        UserError: one of them exists already, or cannot be written.
    """
    primitives = import_cryptography()
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


def read_signing_key(source: str) -> "Ed25519PrivateKey":
    """Read an Ed25519 private key, as PEM without a password.

    Args:
        source: "file:PATH" or "env:NAME".

    Raises:
        UserError: `source` is something else, cannot be read, or holds no such key. No message repeats a key.
    """
    primitives = import_cryptography()
    content = _read_secret("signing_key", source)
    expected = f"`signing_key` {source} must hold an Ed25519 private key as PEM, without a password"
    return _load(
        lambda: primitives.serialization.load_pem_private_key(content, None),
        primitives.asymmetric.ed25519.Ed25519PrivateKey,
        f"{expected}. `tfpar seal` can write one",
    )


def read_public_key(path: str) -> "Ed25519PublicKey":
    """Read an Ed25519 public key from a PEM file; raise UserError if it holds none."""
    primitives = import_cryptography()
    content = _read_file(f"`public_key` {path}", Path(path))
    return _load(
        lambda: primitives.serialization.load_pem_public_key(content),
        primitives.asymmetric.ed25519.Ed25519PublicKey,
        f"`public_key` {path} must hold an Ed25519 public key as PEM, such as the .public.pem of a signing key",
    )


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
        return _read_file(f"`{argument}` {source}", Path(name))
    if kind != "env" or not name.isidentifier():  # env:$KEY would be the key
        raise UserError(
            f"`{argument}` must be file:PATH or env:NAME. A literal key is refused, since other users of this machine "
            "see command lines, and shells store them"
        )
    if name not in os.environ:
        raise UserError(f"`{argument}` {source}: there is no environment variable {name!r}")
    return os.fsencode(os.environ[name])


def _read_file(argument, path) -> bytes:
    # FIFOs are allowed, since shells pass secrets as <(command); so the size is limited instead of the kind of file.
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_KEY_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UserError(f"{argument} cannot be read: {getattr(error, 'strerror', error)}") from error
    if len(content) > _MOST_KEY_BYTES:
        raise UserError(f"{argument} must be a file of at most {_MOST_KEY_BYTES:,} bytes; got more. Name a key file")
    return content


def _load(load, kind, expected):
    """Load a key of one kind. Errors of the library are suppressed, since they might quote the content."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        key = load()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UserError(expected) from None
    if not isinstance(key, kind):
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
