"""`tfpar verify EXPORT_DIR`: verifies that the files of an export are unchanged and run."""

import json
import sys

from tfpar.cli.arguments import Parser, add_keys, read_keys
from tfpar.cli.crash_guard import run_in_child
from tfpar.cli.exits import fail
from tfpar.errors import ChangedFileError


def main(arguments: list[str]) -> None:
    """Print one JSON object; exit with 1 if a file was changed, is missing or does not run.

    If the signature does not match the manifest, no list of files is trusted or printed; stderr has the reason.
    """
    parser = Parser(prog="tfpar verify", description="Check an export against its manifest, and run its TFLite files.")
    parser.add_argument("export_dir", help="the --export_dir of a recipe or of tfpar export")
    add_keys(parser)
    options = parser.parse_args(arguments)
    run_in_child(lambda: _verify(options, parser), f"the TFLite files of {options.export_dir}")


def _verify(options, parser):
    from tfpar.export.bundle.verify import verify_bundle

    try:
        with parser.naming_flags():
            report = verify_bundle(options.export_dir, **read_keys(options))
    except ChangedFileError as error:
        print(json.dumps({"ok": False, "changed": [error.name]}))
        fail(error, code=1)
    print(json.dumps(report))
    sys.exit(0 if report["ok"] else 1)
