"""`tfpar predict EXPORT_DIR INPUT ...`: predicts with a TFLite file, with NumPy and LiteRT, without TensorFlow."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

from tfpar.checks import find_non_finite
from tfpar.cli.arguments import Parser, add_dialect, add_keys, read_keys
from tfpar.cli.crash_guard import run_in_child
from tfpar.cli.exits import FAILED_EXIT_CODE, fail
from tfpar.cli.prediction_output import OUTPUTS, print_predictions
from tfpar.errors import MissingExtraError, UserError
from tfpar.files import check_writable_file

_DESCRIPTION = """
Predict for inputs with an exported model. An INPUT is a text; an image file (two in a row for faces); a WAV file; a csv
file of a time series, with a row for each step; or, for models of tfpar export, rows as npz:, npy:, csv: or tsv:FILE.
Many inputs: folder:PATH (or the path of a directory, unless inputs are texts), csv:FILE or tsv:FILE with a column of
texts or of paths relative to the file, and npz:FILE with an array text, source, image or audio. Exit code 1: some
predictions failed; their entries have "error".
"""


def main(arguments: list[str]) -> None:
    """Print {"format", "predictions": [{"input", ...}]} as JSON, or in the format `--output`.

    The object of a sealed export has "trusted_key", the fingerprint of --public_key if it has signed, else null; so
    has each line of jsonl, and each row of csv.
    """
    parser = _make_parser()
    options = parser.parse_args(arguments)
    run_in_child(lambda: _run(options, parser), f"the TFLite files of {options.export_dir}")


def _run(options, parser):
    from tfpar.export.bundle.directory import Bundle
    from tfpar.tasks.predictors import load_predictor

    errors: list[str] = []
    with parser.naming_flags():
        bundle = Bundle(options.export_dir, **read_keys(options))
        predictor = load_predictor(bundle, options.format)
        if options.threshold is not None:
            _set_threshold(predictor, options.threshold)
        _set_sampling(predictor, options)
        if options.plot:
            options.inputs = options.inputs or list(_read_lines())
            _plot(predictor, options.inputs, options.plot)
        if options.attention:
            options.inputs = options.inputs or list(_read_lines())
            _draw_attention(predictor, options.inputs, options.attention)
        predictions = _predict(predictor, _list_items(options, predictor.input_kind), errors, parser)
        trusted = {"trusted_key": bundle.trusted_key} if bundle.is_sealed else {}
        if options.output != "json":  # which has facts beside the predictions
            predictions = ({**prediction, **trusted} for prediction in predictions)
        print_predictions(options.output, {"format": predictor.format, **trusted}, predictions)
    if errors:
        fail(f"{len(errors)} prediction(s) failed, the first: {errors[0]}", FAILED_EXIT_CODE)


def _list_items(options, input_kind):
    """Yield the inputs of the command line, or those of standard input."""
    from tfpar.export.generic.inputs import Item, expand

    if input_kind.is_text and not options.inputs:
        return (Item(line, (line,)) for line in _read_lines())  # a line is always a text, even if it looks like a path
    sources = options.inputs or list(_read_lines())
    return expand(sources, input_kind, options.input_column, options.encoding, options.delimiter)


def _make_parser():
    parser = Parser(prog="tfpar predict", description=_DESCRIPTION)
    parser.add_argument("export_dir", help="the --export_dir of a recipe or of tfpar export")
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="default: one per line of standard input")
    parser.add_argument("--format", help="float32, float16, dynamic, int8, ...; default: the first in the export")
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
        "--threshold", type=float, help="of faces: the smallest cosine of two images that show the same person"
    )
    parser.add_argument("--plot", metavar="FILE.png", help="of a time series: plot the first prediction")
    parser.add_argument("--attention", metavar="FILE.png", help="of a translator: plot the first input's alignment")
    _add_sampling(parser)
    add_keys(parser)
    return parser


def _add_sampling(parser):
    group = parser.add_argument_group("language models")
    group.add_argument("--length", type=int, help="characters of a continuation; default: 200")
    group.add_argument("--temperature", type=float, help="0: always the most probable character; default: 0.8")
    group.add_argument("--top_k", type=int, help="draw from so many of the most probable characters; default: from all")
    group.add_argument("--seed", type=int, help="of the draws; default: 1")


def _read_lines():
    """Yield the lines of standard input as they arrive."""
    if sys.stdin is not None:
        stdin: Any = sys.stdin  # typeshed's `TextIO` has no `reconfigure`
        stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
        for line in sys.stdin:
            yield line.rstrip("\n")


def _set_threshold(predictor, threshold):
    if not hasattr(predictor, "set_threshold"):
        raise UserError("--threshold is only for exports that compare faces. Omit it")
    predictor.set_threshold(threshold)


def _set_sampling(predictor, options):
    names = ("length", "temperature", "top_k", "seed")
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if given and not hasattr(predictor, "sampling"):
        raise UserError(f"--{next(iter(given))} is only for exports of language models. Omit it")
    if given:
        predictor.sampling = dataclasses.replace(predictor.sampling, **given)


def _predict(predictor, items, errors, parser):
    """Yield a JSON object for each item; if it fails, the object has "error", which is also added to `errors`."""
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
            errors.append(parser.name_flags(str(error)))
            prediction = {"input": item.name, "error": errors[-1]}
        yield prediction


def _plot(predictor, inputs, path):
    if not hasattr(predictor, "plot") or not inputs:
        raise UserError("--plot needs one file and an export of time series")
    check_writable_file(Path(path), "--plot")
    predictor.plot(inputs[0], Path(path))


def _draw_attention(predictor, inputs, path):
    if not hasattr(predictor, "best") or not inputs:
        raise UserError("--attention needs one sentence and an export of a translator")
    from tfpar.export.report.plots import draw_alignment

    check_writable_file(Path(path), "--attention")
    best = predictor.best(inputs[0])
    draw_alignment(best.source, best.target, best.alignment, Path(path))
