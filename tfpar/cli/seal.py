"""`tfpar seal`: signs and encrypts an export, and generates keys."""

import json

from tfpar.cli.arguments import Parser
from tfpar.export.bundle.keys import (
    SIGNATURE_FORMATS,
    new_encryption_key,
    new_signing_key,
    read_encryption_key,
    read_signing_key,
)
from tfpar.export.bundle.seal import seal_bundle

_SOURCE = "file:PATH|env:NAME"


def main(arguments: list[str]) -> None:
    """Print one JSON object: a report of the sealed export, or the paths of new keys."""
    parser = _make_parser()
    options = parser.parse_args(arguments)
    if options.signing_key is not None:
        if options.export_dir is None:
            parser.error("the argument export_dir is required with --signing_key")
        with parser.naming_flags():
            print(json.dumps(_seal(options)))
        return
    if options.export_dir is not None or options.encryption_key is not None or options.output is not None:
        parser.error("export_dir, --encryption_key and --output are not allowed with a new key. Omit them")
    if options.new_signing_key is not None:
        print(json.dumps(new_signing_key(options.new_signing_key, options.format)))
    else:
        print(json.dumps(new_encryption_key(options.new_encryption_key)))


def _seal(options):
    signing_key = read_signing_key(options.signing_key, options.format)
    encryption_key = read_encryption_key(options.encryption_key) if options.encryption_key is not None else None
    return seal_bundle(options.export_dir, signing_key, encryption_key, options.output)


def _make_parser():
    parser = Parser(prog="tfpar seal", description="Sign or encrypt an export, or generate keys.")
    parser.add_argument("export_dir", nargs="?", help="a plain export; its files must match its manifest")
    keys = parser.add_mutually_exclusive_group(required=True)
    keys.add_argument("--signing_key", metavar=_SOURCE, help="private key, PEM: Ed25519; of openssf P-256")
    keys.add_argument("--new_signing_key", metavar="PREFIX", help="write PREFIX.private.pem and PREFIX.public.pem")
    keys.add_argument("--new_encryption_key", metavar="FILE", help="write 32 random bytes in base64")
    parser.add_argument(
        "--format",
        choices=SIGNATURE_FORMATS,
        default="tfpar",
        help="of the signature: tfpar, manifest.sig; openssf, model.sig, which OpenSSF's model_signing verifies, too; "
        "default: %(default)s",
    )
    parser.add_argument("--encryption_key", metavar=_SOURCE, help="encrypt the files, too")
    parser.add_argument("--output", metavar="DIR", help="directory of the sealed export; default: replace export_dir")
    return parser
