"""Evaluation of exported models on a user's labeled data, with LiteRT and NumPy only."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tfpar.data.readers.delimited import Dialect
from tfpar.data.readers.text_files import UTF8
from tfpar.errors import MissingExtraError, UserError
from tfpar.export.bundle.directory import Bundle
from tfpar.export.generic.arrays import read_arrays
from tfpar.export.generic.inputs import TABLES, Item, check_split, list_files, parse_source
from tfpar.export.generic.labeled_inputs import (
    read_class_folders,
    read_labeled_rows,
    read_person_folders,
    read_person_pairs,
)
from tfpar.tasks.face_recognition.threshold import (
    check_copy,
    check_rule,
    choose_threshold,
    copy_with_threshold,
    rates_at,
)
from tfpar.tasks.face_recognition.verification import equal_error_rate
from tfpar.tasks.language_modeling.data import parse_text_spec, read_text
from tfpar.tasks.predictors import load_predictor
from tfpar.tasks.scores import import_sacrebleu, score_classes, score_numbers, score_translations
from tfpar.tasks.speech_recognition.folder import digits_of, read_transcripts
from tfpar.tasks.speech_recognition.transcripts import import_jiwer, measure_string_errors
from tfpar.tasks.speech_recognition.voices import DIGITS
from tfpar.tasks.time_series.evaluate import evaluate_detector, evaluate_forecaster
from tfpar.tasks.time_series.load_labeled import read_labeled_file


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One evaluation: the model, the data and the options.

    Attributes:
        bundle: the export.
        predictor: of the export.
        data: "folder:PATH", "csv:PATH", "tsv:PATH", "npz:PATH", "text:PATH", or a path of such a file or folder.
        input_column, label_column: of csv and tsv files; None: the task's own.
        encoding, delimiter: of csv and tsv files; see `Dialect`.
        split: only rows of a file that are in this split; None: all.
        set_threshold: of faces: rule by which to set the threshold; see `choose_threshold`.
        output_dir: of faces: where the copy with this threshold goes.
    """

    bundle: Bundle
    predictor: Any
    data: str
    input_column: str | None = None
    label_column: str | None = None
    encoding: str = UTF8
    delimiter: str = ""
    split: str | None = None
    set_threshold: str | None = None
    output_dir: Path | None = None

    def labeled(self, label_column: str, labels: Any = None) -> Iterable[tuple[Item, str]]:
        """Read inputs with their labels from class folders (if there are labels) or a table."""
        kind = self.predictor.input_kind
        name, path = parse_source(self.data, (*(["folder"] if labels else []), *TABLES))
        if name == "folder":
            self.check_no_columns()
            return read_class_folders(path, kind, labels)
        columns = (self.input_column or kind.columns[0], self.label_column or label_column)
        return read_labeled_rows(path, self.dialect(name), kind, columns, self.split, labels)

    def dialect(self, table: str) -> Dialect:
        """Return how the rows of a "csv" or "tsv" file are written."""
        return Dialect(table == "csv", self.delimiter, self.encoding)

    def check_no_columns(self) -> None:
        """Raise UserError if columns or a split are given, where the data have none."""
        for name in ("input_column", "label_column", "split"):
            if getattr(self, name) is not None:
                raise UserError(f"--{name} is for csv: and tsv: data; leave it out for {self.data}")


def evaluate(bundle: Bundle, data: str, format_name: str | None = None, **options: Any) -> dict:
    """Measure one TFLite file of an export.

    Args:
        bundle: the export.
        data, **options: attributes of `Evaluation`.
        format_name: "float32", ...; None: the first TFLite format that is there.

    Returns:
        {"task", "format", "data", "examples", "unreadable": [{"input", "error"}], "metrics", ...}; classifiers have
        "classes" and "confusion_matrix"; faces "pairs", "threshold", "calibrated" and, if it was set, "export".

    Raises:
        UserError: the data are not what the task needs, or no example can be read.
        MissingExtraError: a package that the scores need is not installed.
    """
    predictor = load_predictor(bundle, format_name)
    task = bundle.manifest["task"]
    if task not in _EVALUATORS:
        raise UserError(f"tfpar evaluate is not for {task}; the recipe measures it on its test split")
    evaluation = Evaluation(bundle, predictor, data, **options)
    check_split(evaluation.split)
    if task != "face_verification" and (evaluation.set_threshold or evaluation.output_dir):
        raise UserError(f"--set_threshold and --output_dir are for exports that compare faces, not for {task}")
    report = _EVALUATORS[task](evaluation)
    return {"task": task, "format": predictor.format, "data": data, **report}


def _classes(evaluation):
    predictor = evaluation.predictor
    examples = evaluation.labeled("label", predictor.labels)
    truths, predictions, unreadable = _predict(examples, predictor)
    scores = score_classes(truths, [prediction["label"] for prediction in predictions], predictor.labels)
    likelihoods = [prediction["probabilities"][truth] for truth, prediction in zip(truths, predictions, strict=True)]
    scores["metrics"]["log_loss"] = float(-np.mean(np.log(np.maximum(likelihoods, 1e-12))))
    return {"examples": len(truths), "unreadable": unreadable, **scores}


def _series(evaluation):
    collected = read_labeled_file(evaluation.data, evaluation.label_column or "", evaluation.encoding)
    predictor = evaluation.predictor
    if not predictor.labels or evaluation.input_column is not None:
        raise UserError("tfpar evaluate is for classifiers of series, and takes no --input_column")
    examples = [
        (Item(f"series {number}", (series,)), label)
        for number, (series, label) in enumerate(zip(collected.series, collected.labels, strict=True), start=1)
    ]
    if unknown := sorted({label for _, label in examples} - set(predictor.labels)):
        known = ", ".join(predictor.labels)
        raise UserError(f"{collected.where} has the label {unknown[0]!r}; the model's are {known}")
    truths, predictions, unreadable = _predict(examples, predictor)
    scores = score_classes(truths, [prediction["label"] for prediction in predictions], predictor.labels)
    return {"examples": len(truths), "unreadable": unreadable, **scores}


def _forecasts(evaluation):
    if evaluation.input_column is not None or evaluation.label_column is not None:
        raise UserError("--input_column and --label_column are not for forecasters; the columns are those of training")
    return {"unreadable": [], **evaluate_forecaster(evaluation.predictor, _table_path(evaluation))}


def _anomalies(evaluation):
    if evaluation.label_column is None:
        raise UserError("--label_column must name the column of anomalies, 0 or 1")
    path = _table_path(evaluation)
    return {"unreadable": [], **evaluate_detector(evaluation.predictor, path, evaluation.label_column)}


def _table_path(evaluation):
    """Return the path of a csv or tsv file; raise UserError if only some of its rows are wanted."""
    if evaluation.split is not None:
        raise UserError("--split is not for series, which are evaluated as a whole; give a file of the test steps")
    return parse_source(evaluation.data, ("csv", "tsv"))[1]


def _speech(evaluation):
    if not evaluation.predictor.has_strings:
        return _classes(evaluation)
    import_jiwer()
    name, path = parse_source(evaluation.data, ("folder", *TABLES))
    examples = _transcribe(path, evaluation) if name == "folder" else evaluation.labeled("transcript")
    truths, predictions, unreadable = _predict(map(_spell, examples), evaluation.predictor)
    metrics = measure_string_errors(truths, [prediction["label"] for prediction in predictions])
    return {"examples": len(truths), "unreadable": unreadable, "metrics": metrics}


def _transcribe(path, evaluation):
    evaluation.check_no_columns()
    for file, transcript in read_transcripts(path, list_files(path, evaluation.predictor.input_kind.suffixes)):
        yield Item(str(file), (str(file),)), transcript


def _spell(example):
    """Spell the example's transcript in the model's symbols."""
    item, transcript = example
    digits = None if item.error else digits_of(transcript)
    if digits is None:
        error = item.error or f"{item.name}: {transcript!r} is not a transcript of digits"
        return Item(item.name, error=error), ""
    return item, " ".join(DIGITS[digit] for digit in digits)


def _translation(evaluation):
    import_sacrebleu()
    truths, predictions, unreadable = _predict(evaluation.labeled("target"), evaluation.predictor)
    metrics = score_translations([prediction["translation"] for prediction in predictions], truths)
    return {"examples": len(truths), "unreadable": unreadable, "metrics": metrics}


def _language(evaluation):
    evaluation.check_no_columns()
    text = read_text(parse_text_spec(evaluation.data), evaluation.encoding)
    metrics, unknown = evaluation.predictor.score(text)
    return {"examples": len(text), "unreadable": [], "unknown_characters": unknown, "metrics": metrics}


def _model(evaluation):
    evaluation.check_no_columns()
    predictor = evaluation.predictor
    shapes = predictor.output_shapes
    arrays = f"{', '.join(predictor.input_names)} (inputs) and {', '.join(shapes)} (true outputs)"
    try:
        _, path = parse_source(evaluation.data, ("npz",))
        truths = read_arrays("npz", path, dict.fromkeys([*predictor.input_names, *shapes], ()))
    except UserError as error:
        raise UserError(f"{error}; this model needs an npz file with the arrays {arrays}") from error
    outputs = predictor.outputs(f"npz:{path}")
    metrics: dict[str, float] = {}
    for name, output in outputs.items():
        truth = truths[name]
        is_indices = truth.shape == output.shape[:-1] and truth.dtype.kind in "iu"
        if not (is_indices or truth.shape == output.shape) or truth.dtype.kind not in "fiub":
            raise UserError(
                f"{path}: the array {name!r} must be numbers of the output's shape {output.shape}, or class indices "
                f"of the shape {output.shape[:-1]}; got {truth.dtype} of the shape {truth.shape}"
            )
        scores = score_numbers(truth, output)
        metrics |= scores if len(outputs) == 1 else {f"{name}.{score}": value for score, value in scores.items()}
    return {"examples": len(next(iter(outputs.values()))), "unreadable": [], "metrics": metrics}


def _faces(evaluation):
    rule, output_dir = evaluation.set_threshold, evaluation.output_dir
    if (rule is None) != (output_dir is None):
        raise UserError(
            "--set_threshold and --output_dir belong together: the threshold is set in a copy of the export"
        )
    if rule is not None:
        check_rule(rule)
        check_copy(evaluation.bundle, output_dir)
    genuine, impostor, unreadable = _pair_cosines(evaluation)
    rate, threshold = equal_error_rate(genuine, impostor)
    predictor = evaluation.predictor
    report = {
        "examples": len(genuine) + len(impostor),
        "pairs": {"same": len(genuine), "different": len(impostor)},
        "unreadable": unreadable,
        "threshold": predictor.threshold,
        "calibrated": predictor.calibrated,
        "metrics": {"eer": rate, "eer_threshold": threshold, **rates_at(predictor.threshold, genuine, impostor)},
    }
    if rule is None:
        return report
    chosen = choose_threshold(rule, genuine, impostor)
    rates = rates_at(chosen, genuine, impostor)
    facts = {"rule": rule, "format": predictor.format, **report["pairs"], **rates}
    return {**report, "export": copy_with_threshold(evaluation.bundle, output_dir, chosen, facts) | rates}


def _pair_cosines(evaluation):
    """Return cosines of genuine and of impostor pairs, and the pictures that cannot be read."""
    predictor = evaluation.predictor
    name, path = parse_source(evaluation.data, ("folder", *TABLES))
    if evaluation.split is not None:
        raise UserError("--split is not for pairs of faces; leave it out")
    if name == "folder":
        evaluation.check_no_columns()
        items, pairs = read_person_folders(path, predictor.input_kind)
    else:
        items, pairs = read_person_pairs(
            path, evaluation.dialect(name), predictor.input_kind, _pair_columns(evaluation)
        )
    embeddings: dict[int, np.ndarray] = {}
    unreadable: list[dict] = []
    for index, item in enumerate(items):
        _try(item, lambda *given, index=index: embeddings.__setitem__(index, predictor.embedding(*given)), unreadable)
    cosines: dict[bool, list[float]] = {True: [], False: []}
    for one, other, is_same in pairs:
        if one in embeddings and other in embeddings:
            cosines[is_same].append(float(embeddings[one] @ embeddings[other]))
    if not cosines[True] or not cosines[False]:
        raise UserError(
            f"{path} must give pairs of one person and of two; got {len(cosines[True])} and {len(cosines[False])}"
            + (f". The first unreadable input: {unreadable[0]['error']}" if unreadable else "")
        )
    return np.array(cosines[True]), np.array(cosines[False]), unreadable


def _pair_columns(evaluation):
    inputs, label = evaluation.input_column, evaluation.label_column
    if inputs is None and label is None:
        return ("0", "1", "2")
    columns = (*(inputs or "").split(","), label or "")
    if len(columns) != 3 or not all(columns):
        raise UserError("of pairs of faces give both --input_column NAME,NAME and --label_column NAME, or neither")
    return columns


def _predict(examples: Iterable[tuple[Item, str]], predictor) -> tuple[list[str], list[dict], list[dict]]:
    """Return labels, predictions, and the inputs that cannot be read."""
    truths, predictions = [], []
    unreadable: list[dict] = []

    def predict(*arguments):
        prediction = predictor(*arguments)
        if prediction.get("label", "") is None:
            raise UserError(f"{arguments[0]} holds no sound")
        return prediction

    for item, truth in list(examples):  # a label that is wrong is found before the work
        prediction = _try(item, predict, unreadable)
        if prediction is not None:
            truths.append(truth)
            predictions.append(prediction)
    if not truths:
        reason = f"; the first: {unreadable[0]['error']}" if unreadable else ""
        raise UserError(f"the data have no example that can be used{reason}")
    return truths, predictions, unreadable


def _try(item: Item, function: Callable, unreadable: list[dict]):
    """Return the function's value for an item; None, and an entry in `unreadable`, if it cannot be read."""
    try:
        if item.error:
            raise UserError(item.error)
        return function(*item.arguments)
    except MissingExtraError:
        raise
    except UserError as error:
        unreadable.append({"input": item.name, "error": str(error)})
        return None


_EVALUATORS = {
    "face_verification": _faces,
    "image_classification": _classes,
    "language_modeling": _language,
    "model": _model,
    "speech": _speech,
    "text_classification": _classes,
    "time_series_anomaly": _anomalies,
    "time_series_classification": _series,
    "time_series_forecasting": _forecasts,
    "translation": _translation,
}
