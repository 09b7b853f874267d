"""`tfpar predict EXPORT_DIR INPUT ...`: answers from the TFLite file, with NumPy and LiteRT alone."""

import sys
from pathlib import Path

from tfpar.checks import find_non_finite
from tfpar.cli.arguments import Parser, add_dialect, add_keys, given_keys
from tfpar.cli.exits import FAILED_EXIT_CODE, fail
from tfpar.cli.prediction_output import OUTPUTS, print_predictions
from tfpar.errors import MissingExtraError, UserError
from tfpar.export.bundle.directory import Bundle
from tfpar.export.generic.inputs import Item, expand
from tfpar.files import check_writable_file
from tfpar.tasks.predictors import load_predictor

_DESCRIPTION = """
Answer for inputs with an exported model. An INPUT is a text; an image file, of faces two in a row; a WAV file; or, for
models of tfpar export, rows as npz:, npy:, csv: or tsv:FILE. Many inputs: folder:PATH (a directory's own path does,
unless inputs are texts), csv:FILE or tsv:FILE with a column of texts or of paths relative to the file, and npz:FILE
with an array text, source, image or audio. Exit code 1: some inputs could not be answered; their entries have "error".
"""


def main(arguments: list[str]) -> None:
    """Print {"format", "predictions": [{"input", ...}]} as JSON, or as `--output` says."""
    options = _parser().parse_args(arguments)
    predictor = load_predictor(Bundle(options.export_dir, **given_keys(options)), options.format)
    if options.threshold is not None:
        _set_threshold(predictor, options.threshold)
    if options.attention:
        options.inputs = options.inputs or list(_read_lines())
        _draw_attention(predictor, options.inputs, options.attention)
    if predictor.input_kind.is_text and not options.inputs:
        items = (Item(line, (line,)) for line in _read_lines())  # a line is a text, whatever it begins with
    else:
        items = expand(
            options.inputs or list(_read_lines()),
            predictor.input_kind,
            options.input_column,
            options.encoding,
            options.delimiter,
        )
    errors = []
    print_predictions(options.output, predictor.format, _predict(predictor, items, errors))
    if errors:
        fail(f"{len(errors)} input(s) could not be answered, the first: {errors[0]}", FAILED_EXIT_CODE)


def _parser():
    parser = Parser(prog="tfpar predict", description=_DESCRIPTION)
    parser.add_argument("export_dir", help="what a recipe or tfpar export left in --export_dir")
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="none: one per line of standard input")
    parser.add_argument("--format", help="float32, float16, dynamic, int8, ...; default: the first that is there")
    parser.add_argument("--output", choices=OUTPUTS, default="json", help="default: %(default)s")
    parser.add_argument(
        "--input_column",
        type=lambda text: text.split(","),
        default=(),
        metavar="NAME[,NAME]",
        help="of csv: and tsv:, by name, or by number from 0 in a file without a header; default: text, source, path, "
        "of faces path,other_path",
    )
    add_dialect(parser)
    parser.add_argument(
        "--threshold", type=float, help="of faces: the cosine from which two pictures show one person, on your camera"
    )
    parser.add_argument("--attention", metavar="FILE.png", help="of a translator: draw the first input's alignment")
    add_keys(parser)
    return parser


def _read_lines():
    """Yield the lines of standard input, each when it is there."""
    if sys.stdin is not None:
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
        for line in sys.stdin:
            yield line.rstrip("\n")


def _set_threshold(predictor, threshold):
    if not hasattr(predictor, "set_threshold"):
        raise UserError("--threshold is for exports that compare faces; leave it out")
    predictor.set_threshold(threshold)


def _predict(predictor, items, errors):
    """Yield a JSON object for each item; those that fail have "error", which is added to `errors`, too."""
    for item in items:
        try:
            if item.error:
                raise UserError(item.error)
            prediction = {**predictor(*item.arguments), "input": item.name}
            if found := find_non_finite(prediction):
                raise UserError(f"the model's output {found}")
        except MissingExtraError:
            raise
        except UserError as error:
            errors.append(str(error))
            prediction = {"input": item.name, "error": str(error)}
        yield prediction


def _draw_attention(predictor, inputs, path):
    if not hasattr(predictor, "best") or not inputs:
        raise UserError("--attention is for one sentence and an export of a translator")
    from tfpar.export.report.plots import draw_alignment

    check_writable_file(Path(path), "--attention")
    best = predictor.best(inputs[0])
    draw_alignment(best.source, best.target, best.alignment, Path(path))
