"""Prints predictions as one JSON object, as JSON lines, or as CSV rows."""

import csv
import itertools
import json
import sys
from collections.abc import Iterable, Iterator

from tfpar.cli.json_result import print_json

OUTPUTS = ("json", "jsonl", "csv")


def print_predictions(output: str, facts: dict, predictions: Iterable[dict]) -> None:
    """Print predictions.

    Args:
        output: one of `OUTPUTS`: "json", one object of `facts` and "predictions"; "jsonl", one object per line, printed
            immediately; "csv", a header and rows, with nested names joined by dots.
        facts: about the export.
        predictions: JSON objects.
    """
    if output == "jsonl":
        for prediction in predictions:
            print_json(prediction)
    elif output == "csv":
        rows = [row for prediction in predictions for row in _rows(prediction)]
        names = dict.fromkeys(itertools.chain(["input"], *rows))
        columns = [*(name for name in names if name != "error"), "error"]
        writer = csv.DictWriter(sys.stdout, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        print_json({**facts, "predictions": list(predictions)})


def _rows(prediction: dict) -> Iterator[dict]:
    """Yield one CSV row; or one for each row of "outputs" (lists of rows by name), or for each of the "steps"."""
    common = {name: prediction[name] for name in ("input", "trusted_key") if name in prediction}
    for step in prediction.get("steps", ()):
        yield dict(_flatten({**common, **step}))
    if "steps" in prediction:
        return
    outputs = prediction.get("outputs")
    if outputs is None:
        yield dict(_flatten(prediction))
        return
    for row, values in enumerate(zip(*outputs.values(), strict=True)):
        yield dict(_flatten({**common, "row": row, **dict(zip(outputs, values, strict=True))}))


def _flatten(value, name="") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from _flatten(entry, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and all(isinstance(entry, int | float | list) for entry in value):
        for index, entry in enumerate(value):
            yield from _flatten(entry, f"{name}.{index}")
    elif isinstance(value, list):
        yield name, json.dumps(value, ensure_ascii=False)
    else:
        yield name, value
