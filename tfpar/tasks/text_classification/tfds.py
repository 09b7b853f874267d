"""Labeled texts from TensorFlow Datasets with one text and one label."""

from collections import Counter
from pathlib import Path
from typing import Any

from tfpar.data.readers.delimited import clean_cell
from tfpar.data.readers.tfds_sets import (
    classify_features,
    describe_splits,
    find_splits_of,
    iterate_batches,
    prepare_builder,
    read_notice,
)
from tfpar.errors import UserError
from tfpar.tasks.text_classification.data import Collected

_BUILDERS = {
    "rotten_tomatoes_movies": "tfpar.tasks.text_classification.rotten_tomatoes_movies.builder:RottenTomatoesMovies"
}

_UNLABELED_SPLITS = ("unsupervised", "unlabeled", "unlabelled")


def read_tfds_texts(name: str, cache_dir: Path | None = None) -> tuple[Collected, str]:
    """Prepare the set if need be, and read it in one pass per split.

    Rows without a label (-1) are left out of the splits. Published splits are taken as they are, repeats too. Reading
    starts TensorFlow's context: make a distribution strategy first.

    Args:
        name: NAME or NAME/CONFIG, as TFDS spells it.
        cache_dir: where to prepare it, in a folder `tfds`.

    Returns:
        The examples, and a notice with license and citation.

    Raises:
        UserError: no such set, it cannot be prepared, or its features are not one text and one label.
        MissingExtraError: TensorFlow Datasets is not installed.
    """
    builder = prepare_builder(name, cache_dir, _BUILDERS)
    text_key, label_key = text_and_label_keys(builder.info.features, builder.info.supervised_keys, name)
    names = tuple(getattr(builder.info.features[label_key], "names", None) or ())
    published = find_splits_of(builder, name)
    collected = Collected(where=f"tfds:{name}")
    for split, source in published.items():
        for text, label in _rows(builder, source, text_key, label_key, collected.skipped):
            if label < 0:
                collected.skipped["no label"] += 1
            else:
                collected.texts.append(text)
                collected.labels.append(label)
                collected.splits.append(split)
    for source in filter(builder.info.splits.__contains__, _UNLABELED_SPLITS):
        collected.unlabeled += [text for text, _ in _rows(builder, source, text_key, label_key, collected.skipped)]
    _name_classes(collected, names)
    collected.given_rule = describe_splits(builder)
    return collected, read_notice(builder.info)


def text_and_label_keys(features: Any, supervised_keys: Any, name: str) -> tuple[str, str]:
    """Find the text and the label among a set's features.

    Args:
        features: tfds.features.FeaturesDict.
        supervised_keys: the set's own choice, or None; taken if it names a text and a label.
        name: the set, for messages.

    Raises:
        UserError: there is not exactly one of each.
    """
    kinds = classify_features(features)
    match supervised_keys:
        case (str(text), str(label)) if kinds.get(text) == "text" and kinds.get(label) in ("label", "int"):
            return text, label
    texts = [key for key, kind in kinds.items() if kind == "text"]
    labels = [key for key, kind in kinds.items() if kind == "label"]
    labels = labels or [key for key, kind in kinds.items() if kind == "int"]
    if len(texts) == 1 and len(labels) == 1:
        return texts[0], labels[0]
    raise UserError(
        f"tfds:{name} is not a text classification set: expected one text and one class label; got texts "
        f"{texts or 'none'} and labels {labels or 'none'}. Write the two columns that you want into a csv: file"
    )


def _rows(builder, split: str, text_key: str, label_key: str, skipped: Counter):
    """Yield (text, label) of one split in file order."""
    for texts, labels in iterate_batches(builder, split, (text_key, label_key)):
        for raw, label in zip(texts, labels, strict=True):
            try:
                text = clean_cell(raw.decode("utf-8"))
            except UnicodeDecodeError:
                skipped["invalid UTF-8"] += 1
                continue
            if text:
                yield text, label
            else:
                skipped["empty text"] += 1


def _name_classes(collected: Collected, names: tuple[str, ...]) -> None:
    """Use the set's class names; plain numbers, which need not be 0, 1, 2, become names."""
    if names:
        collected.class_names = names
        return
    values = sorted(set(collected.labels))
    collected.class_names = tuple(map(str, values))
    index = {value: position for position, value in enumerate(values)}
    collected.labels = [index[label] for label in collected.labels]
