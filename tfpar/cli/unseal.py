"""`tfpar unseal DIR --output DIR2`: restores the plain export that was sealed."""

import json

from tfpar.cli.arguments import Parser, add_keys, read_keys
from tfpar.export.bundle.seal import unseal_bundle


def main(arguments: list[str]) -> None:
    """Print one JSON object: a report of the plain export."""
    parser = Parser(prog="tfpar unseal", description="Restore the plain export that was sealed.")
    parser.add_argument("export_dir", help="the output of tfpar seal")
    parser.add_argument("--output", required=True, metavar="DIR", help="directory of the plain export")
    add_keys(parser)
    options = parser.parse_args(arguments)
    with parser.naming_flags():
        print(json.dumps(unseal_bundle(options.export_dir, options.output, **read_keys(options))))
