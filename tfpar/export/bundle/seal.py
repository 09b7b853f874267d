"""Signs and encrypts exports, and restores the plain ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle, write_bundle
from tfpar.export.bundle.encryption import ENCRYPTION, encrypt
from tfpar.export.bundle.verify import compare

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey


def seal_bundle(
    directory: Path | str,
    signing_key: "Ed25519PrivateKey",
    encryption_key: bytes | None = None,
    output: Path | str | None = None,
) -> dict[str, Any]:
    """Sign an export's manifest and, with an encryption key, encrypt every file that it lists.

    Args:
        directory: a plain, unsigned export whose files match its manifest.
        signing_key: an Ed25519 private key.
        encryption_key: 32 bytes; None: files are not encrypted.
        output: directory of the sealed export; None: `directory` is replaced.

    Returns:
        {"path", "files" (how many), "encrypted", "signature": {"key": fingerprint}}.

    Raises:
        UserError: `directory` is no such export, or `output` cannot be written; then nothing is written.
    """
    bundle = Bundle(directory)
    _check_sealable(bundle)
    manifest = {**bundle.manifest, "encryption": ENCRYPTION} if encryption_key else bundle.manifest

    def transform(name, content):
        return encrypt(content, encryption_key, name) if encryption_key else content

    target = _write(bundle, output or directory, manifest, transform, signing_key)
    return _report(Bundle(target, encryption_key, signing_key.public_key()))


def unseal_bundle(
    directory: Path | str,
    output: Path | str,
    encryption_key: bytes | None = None,
    public_key: "Ed25519PublicKey | None" = None,
) -> dict[str, Any]:
    """Write the plain, unsigned export that was sealed.

    Args:
        directory: the sealed export.
        output: directory of the plain export.
        encryption_key, public_key: see `Bundle`.

    Returns:
        {"path", "files" (how many), "encrypted": False, "signature": None}.

    Raises:
        UserError: `directory` is not sealed, a file was changed, or a key is wrong; then nothing is written.
    """
    bundle = Bundle(directory, encryption_key, public_key)
    if not bundle.signature and not bundle.is_encrypted:
        raise UserError(f"{directory} is not sealed: it is neither signed nor encrypted, and can be used as it is")
    manifest = {name: value for name, value in bundle.manifest.items() if name != "encryption"}
    return _report(Bundle(_write(bundle, output, manifest, lambda name, content: content)))


def _check_sealable(bundle):
    if bundle.signature or bundle.is_encrypted:
        state = "signed" if bundle.signature else "encrypted"
        raise UserError(f"{bundle.directory} is {state} already. Seal the plain export, which tfpar unseal restores")
    compared = compare(bundle)
    for what in ("changed", "missing", "unlisted"):
        if compared[what]:
            raise UserError(
                f"{bundle.directory} does not match its manifest, so it is not signed; {what}: "
                f"{', '.join(compared[what])}. Export again"
            )


def _write(bundle, output, manifest, transform, signing_key=None) -> Path:
    target = Path(output).resolve()  # "." names another directory after it is replaced
    if bundle.directory.resolve() in target.parents:
        raise UserError(
            f"`output` {output} is within {bundle.directory}, which it would change; name another directory"
        )
    with write_bundle(target, manifest, signing_key) as temporary:
        for name in bundle.manifest.files():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(transform(name, bundle.read(name)))
    return target


def _report(bundle):
    return {
        "path": str(bundle.directory),
        "files": len(bundle.manifest.files()),
        "encrypted": bundle.is_encrypted,
        "signature": bundle.signature and {"key": bundle.signature["key"]},
    }
