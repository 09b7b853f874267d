"""Keys for sealed exports: read from files or the environment, never from a command line."""

import base64
import binascii
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tfpar.errors import MissingExtraError, UserError

ENCRYPTION_KEY_BYTES = 32
_MOST_KEY_BYTES = 1 << 16
_PRIVATE, _PUBLIC = 0o600, 0o644


def import_cryptography():
    """Returns `cryptography.hazmat.primitives`, its parts loaded; raises MissingExtraError without the package."""
    try:
        from cryptography.hazmat import primitives
        from cryptography.hazmat.primitives import serialization  # noqa: F401
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: F401
        from cryptography.hazmat.primitives.ciphers import aead  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("cryptography", "seal", "for signed or encrypted exports") from error
    return primitives


def new_signing_key(prefix: str) -> dict[str, str]:
    """Writes `prefix`.private.pem, for its owner alone, and `prefix`.public.pem; returns their paths.

    Raises:
        UserError: one of them is there already, or cannot be written.
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
    """Writes a random key of 32 bytes in base64, for its owner alone; returns the path.

    Raises:
        UserError: the file is there already, or cannot be written.
    """
    content = base64.b64encode(os.urandom(ENCRYPTION_KEY_BYTES)) + b"\n"
    with _new_file(Path(path), content, _PRIVATE):
        return {"encryption_key": path}


def read_signing_key(source: str):
    """Reads an Ed25519 private key, as PEM without a password, from "file:PATH" or "env:NAME".

    Raises:
        UserError: `source` is something else, cannot be read, or holds no such key. No message repeats a key.
    """
    primitives = import_cryptography()
    content = _read_secret("--signing_key", source)
    expected = f"--signing_key {source} must hold an Ed25519 private key as PEM, without a password"
    return _loaded(
        lambda: primitives.serialization.load_pem_private_key(content, None),
        primitives.asymmetric.ed25519.Ed25519PrivateKey,
        f"{expected}; tfpar seal --new_signing_key makes one",
    )


def read_public_key(path: str):
    """Reads an Ed25519 public key from a PEM file; raises UserError if it holds none."""
    primitives = import_cryptography()
    content = _read_file(f"--public_key {path}", Path(path))
    return _loaded(
        lambda: primitives.serialization.load_pem_public_key(content),
        primitives.asymmetric.ed25519.Ed25519PublicKey,
        f"--public_key {path} must hold an Ed25519 public key as PEM, such as the .public.pem of a signing key",
    )


def read_encryption_key(source: str) -> bytes:
    """Reads a key of 32 bytes, in base64, from "file:PATH" or "env:NAME"; errors as of `read_signing_key`."""
    expected = f"--encryption_key {source} must hold {ENCRYPTION_KEY_BYTES} bytes in base64"
    try:
        key = base64.b64decode(_read_secret("--encryption_key", source).strip(), validate=True)
    except binascii.Error:
        raise UserError(f"{expected}, and holds no base64; tfpar seal --new_encryption_key makes one") from None
    if len(key) != ENCRYPTION_KEY_BYTES:
        raise UserError(f"{expected}, and holds {len(key)} bytes; tfpar seal --new_encryption_key makes one")
    return key


def _read_secret(argument, source) -> bytes:
    kind, _, name = source.partition(":")
    if kind == "file":
        return _read_file(f"{argument} {source}", Path(name))
    if kind != "env" or not name.isidentifier():  # env:$KEY would be the key
        raise UserError(
            f"{argument} must be file:PATH or env:NAME; a key itself is not taken, since other users of this machine "
            "see command lines, and shells keep them"
        )
    if name not in os.environ:
        raise UserError(f"{argument} {source}: there is no environment variable {name!r}")
    return os.fsencode(os.environ[name])


def _read_file(argument, path) -> bytes:
    # A FIFO is fine here: shells hand over secrets as <(command). So the read is bounded, not the kind of file.
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_KEY_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UserError(f"{argument} cannot be read: {getattr(error, 'strerror', error)}") from error
    if len(content) > _MOST_KEY_BYTES:
        raise UserError(f"{argument} must be a file of at most {_MOST_KEY_BYTES:,} bytes; got more. Name a key's file")
    return content


def _loaded(load, kind, expected):
    """What `load` returns if it is of that kind. Errors of the library are left out: they might quote the content."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        key = load()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UserError(expected) from None
    if not isinstance(key, kind):
        raise UserError(f"{expected}; it holds another kind of key")
    return key


@contextlib.contextmanager
def _new_file(path, content, mode) -> Iterator[None]:
    """Writes a file that was not there; it goes again if writing it, or the body, fails."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise UserError(f"{path} is there already and will not be overwritten; name another one") from None
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise
