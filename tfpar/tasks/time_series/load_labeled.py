"""Loading of labeled series: from a dataset spec to checked splits."""

import functools
import re
from pathlib import Path
from typing import Any

import numpy as np

from tfpar.data.readers.delimited import Dialect
from tfpar.data.readers.specs import make_file_notice, parse_spec
from tfpar.data.readers.tfds_sets import describe_splits, find_splits_of, iterate_rows, prepare_builder, read_notice
from tfpar.errors import UserError
from tfpar.tasks.time_series.labeled import CLASSES, CollectedSeries, LabeledSeriesData, assemble
from tfpar.tasks.time_series.labeled_tables import FIRST, read_labeled_arrays, read_long_table, read_wide_table
from tfpar.tasks.time_series.ts_files import read_ts

_KINDS = ("csv", "tsv", "npz", "ts")
_MODULE = "tfpar.tasks.time_series.aeon_sets.builders"
_BUILDERS = {
    "japanese_vowels": "JapaneseVowels",
    "osu_leaf": "OsuLeaf",
    "arrow_head": "ArrowHead",
    "italy_power_demand": "ItalyPowerDemand",
    "gun_point": "GunPoint",
    "basic_motions": "BasicMotions",
    "acsf1": "Acsf1",
    "pickup_gesture": "PickupGestureWiimoteZ",
}
_TFDS_NAMES = {name: name for name in _BUILDERS} | {"pickup_gesture": "pickup_gesture_wiimote_z"}


def load_labeled_series(
    spec: str,
    *,
    label_column: str = "",
    label_kind: str = CLASSES,
    id_column: str = "",
    channels: tuple[str, ...] = (),
    split_column: str = "split",
    time_column: str = "",
    time_format: str = "",
    encoding: str = "utf-8",
    delimiter: str = "",
    cache_dir: Path | None = None,
) -> LabeledSeriesData:
    """Load labeled series.

    A file NAME_TRAIN.EXTENSION brings NAME_TEST.EXTENSION beside it as its test set. A missing test set is cut from
    the training series by their md5, class by class; `split_rule` of the result says so.

    Args:
        spec: a bundled name, "tfds:NAME", "csv:PATH", "tsv:PATH", "npz:PATH" or "ts:PATH".
        label_column: csv, tsv: by name, or by number from 0 in a file without a header; "": "label", or 0 for tsv.
        label_kind: see `tfpar.tasks.time_series.labeled`.
        id_column: csv, tsv: equal cells belong to one series; "": each row is a series.
        channels: csv, tsv: the columns of values: those of the channels with `id_column`, else those of the steps; (),
            without `id_column`: all others.
        split_column: csv, tsv: of train, validation, test.
        time_column, time_format: csv, tsv with `id_column`: by which rows are sorted, see `TimeParser`.
        encoding, delimiter: csv, tsv: see `Dialect`.
        cache_dir: where to fetch and prepare; None: tfpar's cache directory.

    Raises:
        UserError: the spec, the file, a column or the labels are not as required.
        MissingExtraError: TensorFlow Datasets is needed and not installed.
    """
    kind, rest = parse_spec(spec, _TFDS_NAMES, holds="labeled series", kinds=_KINDS)
    if kind == "tfds":
        collected, notice = _read_tfds(rest, cache_dir)
        return assemble(spec, collected, notice, label_kind)
    path = Path(rest).expanduser()
    dialect = Dialect(kind != "tsv", delimiter, encoding)
    read = functools.partial(
        _read_file,
        kind,
        dialect=dialect,
        label=label_column,
        series=id_column,
        channels=channels,
        split=split_column,
        time=(time_column, time_format),
    )
    collected = read(path)
    if (other := _test_file(path)) is not None:
        test = read(other)
        collected.series += test.series
        collected.labels += test.labels
        collected.splits += ["test"] * len(test.labels)
        collected.given_rule = f"as the files {path.name} and {other.name}"
    return assemble(spec, collected, make_file_notice(path), label_kind)


def read_labeled_file(source: str, label_column: str = "", encoding: str = "utf-8") -> CollectedSeries:
    """Read labeled series from "KIND:PATH" or the path of a csv, tsv, npz or ts file, with one series in each row.

    Raises:
        UserError: it is none of these, or cannot be read.
    """
    kind, colon, rest = source.partition(":")
    path = Path(rest if colon and kind in _KINDS else source).expanduser()
    kind = kind if colon and kind in _KINDS else path.suffix.removeprefix(".").lower()
    if kind not in _KINDS:
        raise UserError(f"the data must be {', '.join(f'{kind}:PATH' for kind in _KINDS)}; got {source!r}")
    dialect = Dialect(kind != "tsv", "", encoding)
    return _read_file(kind, path, dialect, label_column, series="", channels=(), split="split")


def _read_file(kind, path, dialect, label, series, channels, split, time=("", "")) -> CollectedSeries:
    if kind == "ts":
        rows = list(read_ts(path))
        return CollectedSeries(str(path), (), [row[0] for row in rows], [row[1] for row in rows], ["train"] * len(rows))
    if kind == "npz":
        return read_labeled_arrays(path)
    if series:
        if not channels:
            raise UserError("--target_columns must name the columns of values where --id_column is given")
        return read_long_table(path, dialect, series, label or "label", channels, split, *time)
    if time[0]:
        raise UserError("--time_column needs --id_column for --task classify; without it each row is a whole series")
    return read_wide_table(path, dialect, label or ("label" if kind == "csv" else FIRST), split, channels)


def _test_file(path: Path) -> Path | None:
    """Return the file of the test series that belongs to one of training series, if it exists."""
    other = path.with_name(re.sub(r"_TRAIN(?=\.\w+$)", "_TEST", path.name))
    return other if other != path and other.exists() else None


def _read_tfds(name: str, cache_dir: Path | None) -> tuple[CollectedSeries, str]:
    bundled = {_TFDS_NAMES[key]: f"{_MODULE}:{value}" for key, value in _BUILDERS.items()}
    builder = prepare_builder(name, cache_dir, bundled)
    series_key, label_key = _find_keys(builder.info.features, name)
    names = builder.info.features[label_key].names
    collected = CollectedSeries(where=f"tfds:{name}")
    for split, source in find_splits_of(builder, name).items():
        for row in iterate_rows(builder, source, (series_key, label_key)):
            collected.series.append(np.asarray(row[series_key], np.float32))
            collected.labels.append(names[int(row[label_key])])
            collected.splits.append(split)
    collected.given_rule = describe_splits(builder)
    return collected, read_notice(builder.info)


def _find_keys(features: Any, name: str) -> tuple[str, str]:
    import tensorflow_datasets as tfds

    flat = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    series = [key for key, f in flat.items() if len(getattr(f, "shape", ())) == 2 and np.dtype(f.np_dtype).kind == "f"]
    labels = [key for key, feature in flat.items() if isinstance(feature, tfds.features.ClassLabel)]
    if len(series) == 1 and len(labels) == 1:
        return series[0], labels[0]
    raise UserError(
        f"tfds:{name} is not a set of labeled series: expected floats (steps, channels) and one class label; got "
        f"series {series or 'none'} and labels {labels or 'none'}. Write them into an npz: file with the arrays x and y"
    )
