"""Pairs of sentences from TensorFlow Datasets of translations, or of two texts."""

from pathlib import Path
from typing import Any

from tfpar.data.readers.tfds_sets import (
    classify_features,
    describe_splits,
    find_splits_of,
    iterate_batches,
    prepare_builder,
    read_notice,
)
from tfpar.errors import UserError
from tfpar.tasks.translation.data import CollectedPairs

_BUILDERS = {"tatoeba_spanish": "tfpar.tasks.translation.tatoeba_spanish.builder:TatoebaSpanish"}


def read_tfds_pairs(
    name: str, columns: tuple[str, str] | None, max_words: int, cache_dir: Path | None = None
) -> tuple[CollectedPairs, str]:
    """Prepare the set if need be, and read it in one pass per split.

    Published splits are taken as they are, repeats too. Reading starts TensorFlow's context: make a distribution
    strategy first.

    Args:
        name: NAME or NAME/CONFIG, as TFDS spells it.
        columns: the features of source and target; None: those that the set itself names.
        max_words: a pair with more words on a side is left out.
        cache_dir: where to prepare it, in a folder `tfds`.

    Returns:
        The pairs, and a notice with license and citation.

    Raises:
        UserError: no such set, it cannot be prepared, or it does not hold two texts.
        MissingExtraError: TensorFlow Datasets is not installed.
    """
    builder = prepare_builder(name, cache_dir, _BUILDERS)
    collected = CollectedPairs(f"tfds:{name}", max_words)
    outer, features = _unwrap(builder.info.features)
    keys = source_and_target_keys(features, builder.info.supervised_keys, columns, name)
    # What the bundled builder left out when it prepared the set.
    for reason, rows in ((builder.info.metadata or {}).get("skipped") or {}).items():
        collected.skip(reason, rows)
    for split, published in find_splits_of(builder, name).items():
        for sources, targets in iterate_batches(builder, published, keys, outer):
            for source, target in zip(sources, targets, strict=True):
                _take(source, target, split, collected)
    collected.given_rule = describe_splits(builder)
    return collected, read_notice(builder.info)


def source_and_target_keys(
    features: Any, supervised_keys: Any, columns: tuple[str, str] | None, name: str
) -> tuple[str, str]:
    """Find the two texts among a set's features.

    Args:
        features: tfds.features.FeaturesDict; a translation is one.
        supervised_keys: the set's own choice, or None; taken if it names two texts.
        columns: the user's choice, or None.
        name: the set, for messages.

    Raises:
        UserError: `columns` are not two of its texts, or there are not just two to choose.
    """
    texts = [key for key, kind in classify_features(features).items() if kind == "text"]
    found: tuple[str, ...]
    if columns is None:
        named = isinstance(supervised_keys, tuple) and len(supervised_keys) == 2 and set(supervised_keys) <= set(texts)
        found = supervised_keys if named else tuple(texts)
    else:
        found = columns
    if len(set(found)) == 2 and set(found) <= set(texts):
        source, target = found
        return source, target
    raise UserError(
        f"tfds:{name}: --source_column and --target_column must be two of its texts, which are {texts or 'none'}; got "
        f"{' and '.join(map(repr, found)) or 'none'}"
    )


def _unwrap(features):
    """Return the features with the texts, and the name of the feature that contains them, if there is one."""
    nested = [key for key, feature in features.items() if hasattr(feature, "items")]
    if len(nested) == 1 and "text" not in classify_features(features).values():
        return nested[0], features[nested[0]]
    return None, features


def _take(source: bytes, target: bytes, split: str, collected: CollectedPairs) -> None:
    try:
        collected.add(source.decode("utf-8"), target.decode("utf-8"), split)
    except UnicodeDecodeError:
        collected.skip("invalid UTF-8")
