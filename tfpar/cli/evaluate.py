"""`tfpar evaluate EXPORT_DIR DATA`: measures an exported model on labeled data."""

from pathlib import Path

from tfpar.checks import find_non_finite
from tfpar.cli.arguments import Parser, add_dialect, add_keys, read_keys
from tfpar.cli.crash_guard import run_in_child
from tfpar.cli.exits import FAILED_EXIT_CODE, fail
from tfpar.cli.json_result import print_json

_DESCRIPTION = """
Measure an exported model on labeled data: images and speech from folder:PATH with a sub-folder for each class, or from
csv: or tsv:PATH with the columns path and label; texts from csv: or tsv:PATH with text and label; translations with
source and target; strings of digits from folder:PATH as for recipes/speech.py; faces from folder:PATH with a sub-folder
for each person, or csv:PATH with rows path,path,same; forecasters, and with --label_column detectors of anomalies, from
csv: or tsv:PATH as in training; models of tfpar export from npz:PATH with arrays of all inputs and true outputs;
language models from text:PATH. Paths in a file are relative to it. Prints one JSON object.
"""


def main(arguments: list[str]) -> None:
    """Print one JSON object: "examples", "unreadable", "metrics", and fields of the task."""
    parser = _make_parser()
    options = parser.parse_args(arguments)
    run_in_child(lambda: _evaluate(options, parser), f"the TFLite files of {options.export_dir}")


def _evaluate(options, parser):
    from tfpar.export.bundle.directory import Bundle
    from tfpar.tasks.evaluation import evaluate

    with parser.naming_flags():
        bundle = Bundle(options.export_dir, **read_keys(options))
        report = evaluate(
            bundle,
            options.data,
            options.format,
            input_column=options.input_column,
            label_column=options.label_column,
            encoding=options.encoding,
            delimiter=options.delimiter,
            split=options.split,
            set_threshold=options.set_threshold,
            output_dir=options.output_dir,
        )
    if found := find_non_finite(report):
        fail(f"the model's outputs are not finite numbers: {found}", FAILED_EXIT_CODE)
    trusted = {"trusted_key": bundle.trusted_key} if bundle.is_sealed else {}
    print_json({"export_dir": options.export_dir, **trusted, **report})


def _make_parser():
    parser = Parser(prog="tfpar evaluate", description=_DESCRIPTION)
    parser.add_argument("export_dir", help="the --export_dir of a recipe or of tfpar export")
    parser.add_argument(
        "data", metavar="DATA", help="folder:PATH, csv:PATH, tsv:PATH, npz:PATH, text:PATH, or such a path"
    )
    parser.add_argument("--format", help="float32, float16, dynamic, int8, ...; default: the first in the export")
    parser.add_argument("--input_column", metavar="NAME", help="of csv: and tsv:, by name, or by number from 0")
    parser.add_argument("--label_column", metavar="NAME", help="the column of labels")
    add_dialect(parser)
    parser.add_argument("--split", help="only rows with this value in the column split; default: all")
    parser.add_argument(
        "--set_threshold",
        metavar="RULE",
        help="of faces: equal_error_rate, or false_accept_rate=RATE; sets the threshold in a copy of the export",
    )
    parser.add_argument("--output_dir", type=Path, metavar="NEW", help="directory of that copy")
    add_keys(parser)
    return parser
