"""`tfpar predict EXPORT_DIR INPUT ...`: answers from the TFLite file, with NumPy and LiteRT alone."""

import json
import sys
from pathlib import Path

from tfpar.cli.arguments import Parser, add_keys, given_keys
from tfpar.errors import UserError
from tfpar.export.bundle import Bundle
from tfpar.export.predictors import load_predictor


def main(arguments: list[str]) -> None:
    """Prints one JSON object: {"format", "predictions": [{"input", ...}]}; what is in each depends on the task."""
    parser = Parser(prog="tfpar predict", description="Answer for inputs with an exported model.")
    parser.add_argument("export_dir", help="what a recipe or tfpar export left in --export_dir")
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="texts; image files, of faces two by two; WAV files; for models of tfpar export, rows: npz:FILE, "
        "npy:FILE, csv:FILE, or such a file's path. None: one per line of standard input",
    )
    parser.add_argument("--format", help="float32, float16, dynamic, int8, ...; default: the first that is there")
    parser.add_argument("--attention", metavar="FILE.png", help="of a translator: draw the first input's alignment")
    add_keys(parser)
    options = parser.parse_args(arguments)
    predictor = load_predictor(Bundle(options.export_dir, **given_keys(options)), options.format)
    inputs = options.inputs or [line.rstrip("\n") for line in sys.stdin]
    if options.attention:
        _draw_attention(predictor, inputs, options.attention)
    predictions = [predictor(*group) for group in _grouped(inputs, getattr(predictor, "inputs_each", 1))]
    print(json.dumps({"format": predictor.format, "predictions": predictions}))


def _grouped(inputs, size):
    if len(inputs) % size:
        raise UserError(f"this model compares inputs, {size} by {size}; got {len(inputs)} of them")
    return [inputs[begin : begin + size] for begin in range(0, len(inputs), size)]


def _draw_attention(predictor, inputs, path):
    if not hasattr(predictor, "best") or not inputs:
        raise UserError("--attention is for one sentence and an export of a translator")
    from tfpar.export.pictures import draw_alignment

    best = predictor.best(inputs[0])
    draw_alignment(best.source, best.target, best.alignment, Path(path))
