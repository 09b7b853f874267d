"""TensorFlow Datasets, including the bundled sets: preparation, splits, features and batches."""

import contextlib
import importlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from tfpar.data.readers.cache import cache_root, locked
from tfpar.errors import MissingExtraError, UserError

_SPLIT_NAMES = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}
_KINDS = {"O": "text", "S": "text", "U": "text", "i": "int", "u": "int"}  # by NumPy's kind of dtype
_BATCH = 1024


def prepare_builder(name: str, cache_dir: Path | None, bundled: Mapping[str, str] = MappingProxyType({})) -> Any:
    """Return the builder of a set after its data are on disk; one process at a time prepares.

    Bundled sets are prepared under tfpar's cache directory, others where TFDS always puts them, unless `cache_dir` is
    given.

    Args:
        name: NAME or NAME/CONFIG, as TFDS spells it.
        cache_dir: where to prepare it, in a folder `tfds`.
        bundled: name -> "module:class" of the builders that tfpar brings.

    Raises:
        UserError: no such set, or it cannot be prepared.
        MissingExtraError: TensorFlow Datasets is not installed.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise MissingExtraError("tensorflow-datasets", "recipes", "to read TFDS sets and the bundled one") from error
    root = cache_dir or cache_root()
    base = re.split(r"[/:]", name)[0]
    data_dir = root / "tfds" if cache_dir or base in bundled else None
    lock = root / "tfds" / f"{re.sub(r'[^A-Za-z0-9_.-]', '-', name)}.lock"
    with locked(lock), contextlib.redirect_stdout(sys.stderr):  # TFDS reports on stdout, which belongs to results
        # Made inside the lock: a builder made before another process prepared the set would not know its splits.
        builder = _builder(tfds, name, base, data_dir, bundled)
        if base in bundled:
            builder.wheel_cache = cache_dir
        try:
            # Bundled sets are in no bucket: asking for them there would need a network.
            config = tfds.download.DownloadConfig(try_download_gcs=base not in bundled)
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


def _builder(tfds, name: str, base: str, data_dir: Path | None, bundled: Mapping[str, str]):
    if base in bundled:
        module, _, class_name = bundled[base].partition(":")
        return getattr(importlib.import_module(module), class_name)(data_dir=data_dir)
    try:
        return tfds.builder(name, data_dir=data_dir)
    except Exception as error:  # unknown names, configs and missing imports all come as different types
        raise UserError(
            f"tfds:{name} is not a set that TensorFlow Datasets {tfds.__version__} can load: {_first_line(error)}"
        ) from error


def find_splits_of(builder: Any, name: str) -> dict[str, str]:
    """Map train, validation and test to the set's own names, where it has them."""
    found = {}
    for split, aliases in _SPLIT_NAMES.items():
        if source := next((alias for alias in aliases if alias in builder.info.splits), None):
            found[split] = source
    if "train" not in found:
        raise UserError(f"tfds:{name} has no split 'train'; its splits are {', '.join(map(str, builder.info.splits))}")
    return found


def classify_features(features: Any) -> dict[str, str]:
    """Return the kind of each scalar feature: "text", "label", "int" or "other"."""
    import tensorflow_datasets as tfds

    kinds = {}
    for key, feature in features.items() if isinstance(features, tfds.features.FeaturesDict) else ():
        if isinstance(feature, tfds.features.ClassLabel):
            kinds[key] = "label"
        elif isinstance(feature, tfds.features.Tensor) and feature.shape == ():
            kinds[key] = _KINDS.get(np.dtype(feature.np_dtype).kind, "other")
    return kinds


def iterate_batches(builder: Any, split: str, keys: Sequence[str], outer: str | None = None) -> Iterator[list[list]]:
    """Yield the values of each of the features `keys`, batch by batch and in file order; texts as bytes.

    Args:
        builder: of a prepared set.
        split: as the set calls it.
        keys: names of scalar features.
        outer: the feature that holds them, if they are not the set's own.

    Raises:
        UserError: the prepared data are damaged.
    """
    # Batches make the way from TensorFlow to Python ten times shorter.
    for batch in _read(builder, split, [outer] if outer else keys, batch_size=_BATCH):
        columns = batch[outer] if outer else batch
        yield [columns[key].tolist() for key in keys]


def iterate_rows(builder: Any, split: str, keys: Sequence[str]) -> Iterator[dict]:
    """Yield row by row, in file order, the features `keys`, which may be of any shapes.

    Args:
        builder: of a prepared set.
        split: as the set calls it.
        keys: names of features.

    Raises:
        UserError: the prepared data are damaged.
    """
    return _read(builder, split, keys)


def _read(builder, split, keys, batch_size=None):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    decoders = tfds.decode.PartialDecoding(dict.fromkeys(keys, True))  # only these features are decoded
    dataset = builder.as_dataset(split=split, shuffle_files=False, decoders=decoders)
    try:
        yield from tfds.as_numpy(dataset.batch(batch_size) if batch_size else dataset)
    except tf.errors.DataLossError as error:
        raise UserError(f"the prepared data in {builder.data_dir} are damaged; remove that directory") from error


def describe_splits(builder: Any) -> str:
    """Describe the set's splits."""
    return getattr(builder, "SPLIT_RULE", f"as published in TFDS set {builder.info.full_name}")


def read_notice(info: Any) -> str:
    """Return license and citation of a set, to show to the user."""
    terms = (info.redistribution_info.license or "").strip() or "see the set's page in the TFDS catalog"
    return f"License: {terms}\nCite: {info.citation.strip() or info.full_name}"


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
