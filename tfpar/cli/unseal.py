"""`tfpar unseal DIR --output DIR2`: the plain export that was sealed."""

import json

from tfpar.cli.arguments import Parser, add_keys, given_keys
from tfpar.export.bundle.seal import unseal_bundle


def main(arguments: list[str]) -> None:
    """Prints one JSON object: what was written."""
    parser = Parser(prog="tfpar unseal", description="Give back the plain export that was sealed.")
    parser.add_argument("export_dir", help="what tfpar seal left")
    parser.add_argument("--output", required=True, metavar="DIR", help="where the plain export is left")
    add_keys(parser)
    options = parser.parse_args(arguments)
    print(json.dumps(unseal_bundle(options.export_dir, options.output, **given_keys(options))))
