"""Signs an export, encrypts it if asked to, and gives a sealed one back as it was."""

from pathlib import Path

from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle, write_bundle
from tfpar.export.bundle.encryption import ENCRYPTION, encrypt
from tfpar.export.bundle.verify import compare


def seal_bundle(
    directory: Path | str, signing_key, encryption_key: bytes | None = None, output: Path | str | None = None
) -> dict:
    """Signs an export's manifest and, with a key, encrypts every file that it lists.

    Args:
        directory: a plain, unsigned export whose files are as its manifest says.
        signing_key: an Ed25519 private key.
        encryption_key: 32 bytes; None: files stay readable.
        output: where the sealed export is left; None: in the place of `directory`.

    Returns:
        {"path", "files" (how many), "encrypted", "signature": {"key": fingerprint}}.

    Raises:
        UserError: `directory` is no such export, or `output` cannot be written; nothing is left then.
    """
    bundle = Bundle(directory)
    _check_sealable(bundle)
    manifest = {**bundle.manifest, "encryption": ENCRYPTION} if encryption_key else bundle.manifest

    def changed(name, content):
        return encrypt(content, encryption_key, name) if encryption_key else content

    target = _write(bundle, output or directory, manifest, changed, signing_key)
    return _report(Bundle(target, encryption_key, signing_key.public_key()))


def unseal_bundle(
    directory: Path | str, output: Path | str, encryption_key: bytes | None = None, public_key=None
) -> dict:
    """Writes the plain, unsigned export that was sealed.

    Args:
        directory: the sealed export.
        output: where the plain one is left.
        encryption_key, public_key: of `Bundle`.

    Returns:
        {"path", "files" (how many), "encrypted": False, "signature": None}.

    Raises:
        UserError: `directory` is not sealed, a file was changed, or a key is wrong; nothing is left then.
    """
    bundle = Bundle(directory, encryption_key, public_key)
    if not bundle.signature and not bundle.is_encrypted:
        raise UserError(f"{directory} is not sealed: it is neither signed nor encrypted, and can be used as it is")
    manifest = {name: value for name, value in bundle.manifest.items() if name != "encryption"}
    return _report(Bundle(_write(bundle, output, manifest, lambda name, content: content)))


def _check_sealable(bundle):
    if bundle.signature or bundle.is_encrypted:
        state = "signed" if bundle.signature else "encrypted"
        raise UserError(f"{bundle.directory} is {state} already; tfpar unseal gives the plain export, to seal anew")
    compared = compare(bundle)
    for what in ("changed", "missing", "unlisted"):
        if compared[what]:
            raise UserError(
                f"{bundle.directory} does not agree with its manifest, so it is not signed; {what}: "
                f"{', '.join(compared[what])}. Export again"
            )


def _write(bundle, output, manifest, changed, signing_key=None) -> Path:
    target = Path(output).resolve()  # "." is another directory once it is replaced
    if bundle.directory.resolve() in target.parents:
        raise UserError(
            f"--output {output} is within {bundle.directory}, which it would change; name another directory"
        )
    with write_bundle(target, manifest, signing_key) as temporary:
        for name in bundle.manifest.files():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(changed(name, bundle.read(name)))
    return target


def _report(bundle):
    return {
        "path": str(bundle.directory),
        "files": len(bundle.manifest.files()),
        "encrypted": bundle.is_encrypted,
        "signature": bundle.signature and {"key": bundle.signature["key"]},
    }
