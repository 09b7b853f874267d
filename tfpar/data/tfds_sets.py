"""Reads labelled texts from any TensorFlow Datasets set with one text and one label, the bundled ones among them."""

import contextlib
import importlib
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from tfpar.data.cache import cache_root, locked
from tfpar.data.labelled_texts import Collected
from tfpar.errors import MissingExtraError, UserError

# Sets whose builders tfpar brings: TFDS name -> (package under builders/, class).
_BUNDLED = {"rotten_tomatoes_movies": ("rotten_tomatoes_movies", "RottenTomatoesMovies")}
_SPLIT_NAMES = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
_UNLABELLED_SPLITS = ("unsupervised", "unlabeled", "unlabelled")
_KINDS = {"O": "text", "S": "text", "U": "text", "i": "int", "u": "int"}  # by NumPy's kind of dtype
_BATCH = 1024


def read_tfds(name: str, cache_dir: Path | None = None) -> tuple[Collected, str]:
    """Prepares the set if need be, and reads it in one pass per split.

    Bundled sets are prepared under tfpar's cache directory, others where TFDS always puts them, unless `cache_dir` is
    given. Rows without a label (-1) are left out of the splits. Published splits are taken as they are, repeats too.
    Reading starts TensorFlow's context: make a distribution strategy first.

    Args:
        name: NAME or NAME/CONFIG, as TFDS spells it.
        cache_dir: where to prepare it, in a folder `tfds`.

    Returns:
        The examples, and a notice with licence and citation.

    Raises:
        UserError: no such set, it cannot be prepared, or its features are not one text and one label.
        MissingExtraError: TensorFlow Datasets is not installed.
    """
    builder = _prepared(name, cache_dir)
    text_key, label_key = text_and_label_keys(builder.info.features, builder.info.supervised_keys, name)
    names = tuple(getattr(builder.info.features[label_key], "names", None) or ())
    published = _published_splits(builder, name)
    collected = Collected(where=f"tfds:{name}")
    for split, source in published.items():
        for text, label in _rows(builder, source, text_key, label_key, collected.skipped):
            if label < 0:
                collected.skipped["no label"] += 1
            else:
                collected.texts.append(text)
                collected.labels.append(label)
                collected.splits.append(split)
    for source in filter(builder.info.splits.__contains__, _UNLABELLED_SPLITS):
        collected.unlabelled += [text for text, _ in _rows(builder, source, text_key, label_key, collected.skipped)]
    _name_classes(collected, names)
    published = f"as published in TFDS set {builder.info.full_name}"
    collected.given_rule = getattr(builder, "SPLIT_RULE", published)
    return collected, _notice(builder.info)


def _published_splits(builder, name: str) -> dict[str, str]:
    """Maps ours (train, validation, test) to the set's own names, where it has them."""
    found = {}
    for split, aliases in _SPLIT_NAMES.items():
        if source := next((alias for alias in aliases if alias in builder.info.splits), None):
            found[split] = source
    if "train" not in found:
        raise UserError(f"tfds:{name} has no split 'train'; its splits are {', '.join(map(str, builder.info.splits))}")
    return found


def text_and_label_keys(features, supervised_keys, name: str) -> tuple[str, str]:
    """Finds the text and the label among a set's features.

    Args:
        features: tfds.features.FeaturesDict.
        supervised_keys: the set's own choice, or None; taken if it names a text and a label.
        name: the set, for messages.

    Raises:
        UserError: there is not exactly one of each.
    """
    import tensorflow_datasets as tfds

    kinds = {}
    for key, feature in features.items() if isinstance(features, tfds.features.FeaturesDict) else ():
        if isinstance(feature, tfds.features.ClassLabel):
            kinds[key] = "label"
        elif isinstance(feature, tfds.features.Tensor) and feature.shape == ():
            kinds[key] = _KINDS.get(np.dtype(feature.np_dtype).kind, "other")
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


def _prepared(name: str, cache_dir: Path | None):
    """The builder of `name`, its data on disk; only one process at a time prepares."""
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise MissingExtraError("tensorflow-datasets", "recipes", "to read TFDS sets and the bundled one") from error
    root = cache_dir or cache_root()
    base = re.split(r"[/:]", name)[0]
    data_dir = root / "tfds" if cache_dir or base in _BUNDLED else None
    lock = root / "tfds" / f"{re.sub(r'[^A-Za-z0-9_.-]', '-', name)}.lock"
    with locked(lock), contextlib.redirect_stdout(sys.stderr):  # TFDS reports on stdout, which belongs to results
        # Made inside the lock: a builder made before another process prepared the set would not know its splits.
        builder = _builder(tfds, name, base, data_dir)
        if base in _BUNDLED:
            builder.wheel_cache = cache_dir
        try:
            # Bundled sets are in no bucket: asking for them there would need a network.
            config = tfds.download.DownloadConfig(try_download_gcs=base not in _BUNDLED)
            builder.download_and_prepare(download_config=config)
        except UserError:
            raise
        except ImportError as error:  # sets bring needs of their own, and TFDS does not declare all of its own
            raise UserError(f"tfds:{name} needs the package {error.name}; run: pip install {error.name}") from error
        except Exception as error:  # a third party's code: any error means that the set cannot be had here
            raise UserError(
                f"tfds:{name} could not be prepared in {builder.data_dir}: {type(error).__name__}: "
                f"{_first_line(error)}. Check the network and the disk, or use --dataset csv:PATH"
            ) from error
    return builder


def _builder(tfds, name: str, base: str, data_dir: Path | None):
    if base in _BUNDLED:
        package, class_name = _BUNDLED[base]
        module = importlib.import_module(f"tfpar.data.builders.{package}.builder")
        return getattr(module, class_name)(data_dir=data_dir)
    try:
        return tfds.builder(name, data_dir=data_dir)
    except Exception as error:  # unknown names, configs and missing imports all come as different types
        raise UserError(
            f"tfds:{name} is not a set that TensorFlow Datasets {tfds.__version__} can load: {_first_line(error)}"
        ) from error


def _rows(builder, split: str, text_key: str, label_key: str, skipped: Counter):
    """Yields (text, label) of one split in file order."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    # Only the two features are decoded; batches make the way from TensorFlow to Python ten times shorter.
    decoders = tfds.decode.PartialDecoding({text_key: True, label_key: True})
    dataset = builder.as_dataset(split=split, shuffle_files=False, decoders=decoders)
    try:
        for batch in tfds.as_numpy(dataset.batch(_BATCH)):
            for raw, label in zip(batch[text_key], batch[label_key].tolist(), strict=True):
                try:
                    text = raw.decode("utf-8").replace("\0", " ").strip()
                except UnicodeDecodeError:
                    skipped["invalid UTF-8"] += 1
                    continue
                if text:
                    yield text, label
                else:
                    skipped["empty text"] += 1
    except tf.errors.DataLossError as error:
        raise UserError(f"the prepared data in {builder.data_dir} are damaged; remove that directory") from error


def _name_classes(collected: Collected, names: tuple[str, ...]) -> None:
    """Keeps the set's names; plain numbers, which need not be 0, 1, 2, become names themselves."""
    if names:
        collected.class_names = names
        return
    values = sorted(set(collected.labels))
    collected.class_names = tuple(map(str, values))
    index = {value: place for place, value in enumerate(values)}
    collected.labels = [index[label] for label in collected.labels]


def _notice(info) -> str:
    licence = (info.redistribution_info.license or "").strip() or "see the set's page in the TFDS catalogue"
    return f"Licence: {licence}\nCite: {info.citation.strip() or info.full_name}"


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
