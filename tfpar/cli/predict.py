"""`tfpar predict EXPORT_DIR INPUT ...`: answers from the TFLite file, with NumPy and LiteRT alone."""

import json
import sys

from tfpar.cli.arguments import Parser
from tfpar.export.text_predictor import TextPredictor


def main(arguments: list[str]) -> None:
    """Prints one JSON object: {"predictions": [{"input", "label", "probabilities"}]}."""
    parser = Parser(prog="tfpar predict", description="Answer for inputs with an exported model.")
    parser.add_argument("export_dir", help="what a recipe left in --export_dir")
    parser.add_argument("inputs", nargs="*", metavar="INPUT", help="texts; none: one per line of standard input")
    parser.add_argument("--format", help="float32, float16, dynamic or int8; default: the first that is there")
    options = parser.parse_args(arguments)
    predictor = TextPredictor(options.export_dir, options.format)
    texts = options.inputs or [line.rstrip("\n") for line in sys.stdin]
    print(json.dumps({"format": predictor.format, "predictions": [predictor(text) for text in texts]}))
