"""`tfpar verify EXPORT_DIR`: are the files those that were exported, and do they run?"""

import json
import sys

from tfpar.cli.arguments import Parser, add_keys, given_keys
from tfpar.cli.exits import fail
from tfpar.errors import ChangedFileError
from tfpar.export.bundle.verify import verify_bundle


def main(arguments: list[str]) -> None:
    """Prints one JSON object; exits with 1 if a file was changed, is missing or does not run.

    Where manifest and signature do not fit, no list of files can be believed, and none is printed: stderr says why.
    """
    parser = Parser(prog="tfpar verify", description="Check an export against its manifest, and run its TFLite files.")
    parser.add_argument("export_dir", help="what a recipe or tfpar export left in --export_dir")
    add_keys(parser)
    options = parser.parse_args(arguments)
    try:
        report = verify_bundle(options.export_dir, **given_keys(options))
    except ChangedFileError as error:
        print(json.dumps({"ok": False, "changed": [error.name]}))
        fail(error, code=1)
    print(json.dumps(report))
    sys.exit(0 if report["ok"] else 1)
