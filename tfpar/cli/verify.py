"""`tfpar verify EXPORT_DIR`: are the files those that were exported, and do they run?"""

import json
import sys
from pathlib import Path

from tfpar.cli.arguments import Parser
from tfpar.export.bundle import verify_bundle


def main(arguments: list[str]) -> None:
    """Prints one JSON object; exits with 1 if a file was changed, is missing or does not run."""
    parser = Parser(prog="tfpar verify", description="Check an export against its manifest, and run its TFLite files.")
    parser.add_argument("export_dir", help="what a recipe left in --export_dir")
    report = verify_bundle(Path(parser.parse_args(arguments).export_dir))
    print(json.dumps(report))
    sys.exit(0 if report["ok"] else 1)
