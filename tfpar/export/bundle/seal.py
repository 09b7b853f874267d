"""Signs and encrypts exports, and restores the plain ones."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle, write_bundle
from tfpar.export.bundle.encryption import encrypt, new_encryption
from tfpar.export.bundle.openssf import check_openssf_installed
from tfpar.export.bundle.verify import compare

if TYPE_CHECKING:
    from tfpar.export.bundle.keys import PrivateKey, PublicKey

_PRIVATE, _SHARED = 0o600, 0o666  # before the umask is applied


def seal_bundle(
    directory: Path | str,
    signing_key: "PrivateKey",
    encryption_key: bytes | None = None,
    output: Path | str | None = None,
) -> dict[str, Any]:
    """Sign an export's manifest and, with an encryption key, encrypt every file that it lists.

    Args:
        directory: a plain, unsigned export whose files match its manifest.
        signing_key: a private key; see `write_bundle` for the kinds.
        encryption_key: 32 bytes; None: files are not encrypted.
        output: directory of the sealed export; None: `directory` is replaced.

    Returns:
        {"path", "files" (how many), "encrypted", "signature": {"key": fingerprint}}.

    Raises:
        UserError: `directory` is no such export, or `output` cannot be written; then nothing is written.
        MissingExtraError: a package for the signature is not installed.
    """
    if hasattr(signing_key, "curve"):
        check_openssf_installed()
    bundle = Bundle(directory, allow_unsigned=True)
    _check_sealable(bundle)
    if encryption_key is None:
        target = _write(bundle, output or directory, bundle.manifest, bundle.read, signing_key)
    else:
        encryption = new_encryption()
        manifest = {**bundle.manifest, "encryption": encryption}

        def read_encrypted(name):
            return encrypt(bundle.read(name), encryption_key, name, encryption)

        target = _write(bundle, output or directory, manifest, read_encrypted, signing_key)
    return _report(Bundle(target, encryption_key, signing_key.public_key()))


def unseal_bundle(
    directory: Path | str,
    output: Path | str,
    encryption_key: bytes | None = None,
    public_key: "PublicKey | None" = None,
    allow_unsigned: bool = False,
) -> dict[str, Any]:
    """Write the plain, unsigned export that was sealed. Only its owner can read files that were encrypted.

    Args:
        directory: the sealed export.
        output: directory of the plain export.
        encryption_key, public_key, allow_unsigned: see `Bundle`.

    Returns:
        {"path", "files" (how many), "encrypted": False, "signature": None, "trusted_key": fingerprint of the
        `public_key` that signed the sealed export, else None}.

    Raises:
        UserError: `directory` is not sealed, or a key is wrong.
        UntrustedExportError: see `Bundle`.
        ChangedFileError: a file was changed, or an entry is not listed. After any error nothing is written.
    """
    bundle = Bundle(directory, encryption_key, public_key, allow_unsigned)
    if not bundle.is_sealed:
        raise UserError(f"{directory} is not sealed: it is neither signed nor encrypted, and can be used as it is")
    bundle.check_entries()
    manifest = {name: value for name, value in bundle.manifest.items() if name != "encryption"}
    mode = _PRIVATE if bundle.is_encrypted else _SHARED
    plain = Bundle(_write(bundle, output, manifest, bundle.read, mode=mode))
    return {**_report(plain), "trusted_key": bundle.trusted_key}


def _check_sealable(bundle):
    if bundle.is_sealed:
        state = "signed" if bundle.signature else "encrypted"
        raise UserError(f"{bundle.directory} is {state} already. Seal the plain export, which tfpar unseal restores")
    compared = compare(bundle)
    for what in ("changed", "missing", "unlisted"):
        if compared[what]:
            raise UserError(
                f"{bundle.directory} does not match its manifest, so it is not signed; {what}: "
                f"{', '.join(compared[what])}. Export again"
            )


def _write(bundle, output, manifest, read, signing_key=None, mode=_SHARED) -> Path:
    target = Path(output).resolve()  # "." names another directory after it is replaced
    if bundle.directory.resolve() in target.parents:
        raise UserError(
            f"`output` {output} is within {bundle.directory}, which it would change; name another directory"
        )
    with write_bundle(target, manifest, signing_key) as temporary:
        for name in bundle.manifest.files():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb", opener=lambda path, flags: os.open(path, flags, mode)) as file:
                file.write(read(name))
    return target


def _report(bundle):
    return {
        "path": str(bundle.directory),
        "files": len(bundle.manifest.files()),
        "encrypted": bundle.is_encrypted,
        "signature": bundle.signature and {"key": bundle.signature["key"]},
    }
