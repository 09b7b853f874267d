"""Loading of panels of series: from a dataset spec to series on a regular grid."""

import dataclasses
from pathlib import Path

import numpy as np

from tfpar.data.readers.delimited import Dialect
from tfpar.data.readers.npz_files import read_npz
from tfpar.data.readers.specs import make_file_notice, parse_spec
from tfpar.data.readers.tfds_sets import iterate_rows, prepare_builder, read_notice
from tfpar.errors import UserError
from tfpar.tasks.time_series.cells import check_array, has_too_large
from tfpar.tasks.time_series.panel import Panel, Rows, make_panel
from tfpar.tasks.time_series.panel_tables import PanelColumns, read_panel
from tfpar.tasks.time_series.times import TimeParser

_KINDS = ("csv", "tsv", "npz")
_MODULE = "tfpar.tasks.time_series.aeon_sets.builders"
_BUILDERS = {
    "airline_passengers": "AirlinePassengers",
    "daphnet": "Daphnet",
    "ecg_diff_count": "EcgDiffCount",
    "ucr_internal_bleeding": "UcrInternalBleeding",
}
_KEYS = ("time", "values", "is_anomaly")


def load_panel(
    spec: str,
    columns: PanelColumns,
    *,
    encoding: str = "utf-8",
    delimiter: str = "",
    cache_dir: Path | None = None,
) -> Panel:
    """Load a panel of series.

    Args:
        spec: a bundled name, "csv:PATH", "tsv:PATH", or "npz:PATH" with an array "values" (steps, columns) or (series,
            steps, columns), and "is_anomaly" of the same shape without columns if there are labels.
        columns: of csv and tsv files.
        encoding, delimiter: csv, tsv: see `Dialect`.
        cache_dir: where to fetch and prepare; None: tfpar's cache directory.

    Raises:
        UserError: the spec, the file or a column is not as required.
        MissingExtraError: TensorFlow Datasets is needed and not installed.
    """
    kind, rest = parse_spec(spec, {name: name for name in _BUILDERS}, holds="series", kinds=_KINDS)
    if kind == "tfds":
        if rest not in _BUILDERS:
            raise UserError(
                f"tfds:{rest}: of TFDS only {', '.join(_BUILDERS)} hold one row for each step; use csv:PATH"
            )
        return _read_bundled(rest, cache_dir)
    path = Path(rest).expanduser()
    if kind == "npz":
        return _read_arrays(path)
    panel = read_panel(path, Dialect(kind == "csv", delimiter, encoding), columns)
    return dataclasses.replace(panel, notice=make_file_notice(path))


def _read_bundled(name: str, cache_dir: Path | None) -> Panel:
    builder = prepare_builder(name, cache_dir, {key: f"{_MODULE}:{value}" for key, value in _BUILDERS.items()})
    parser = TimeParser(Path(name), "time")
    (series,) = iterate_rows(builder, "train", _KEYS)
    times = [parser.parse(line, time.decode()) for line, time in enumerate(series["time"], start=2)]
    targets, steps = builder.COLUMNS, len(times)
    marks = np.stack([np.full(steps, -1), series["is_anomaly"]], axis=1).astype(np.int8)
    return make_panel(
        Rows(series["values"], np.zeros(steps, np.int64), np.array(times, np.int64), marks),
        is_number=bool(parser.is_number),
        has_splits=False,
        has_labels=bool(builder.LABEL),
        where=name,
        ids=("",),
        columns=targets,
        targets=len(targets),
        past=0,
        time_column=builder.TIME,
        notice=read_notice(builder.info),
    )


def _read_marks(path: Path, labels: np.ndarray) -> np.ndarray:
    """Return 1, 0 or, where it is NaN, -1 for each step."""
    if labels.dtype.kind not in "bfiu" or not (np.isnan(labels) | (labels == 0) | (labels == 1)).all():
        raise UserError(
            f"{path}: is_anomaly must be 0 (normal), 1 (anomaly) or NaN (unknown); got {labels.dtype} with "
            f"{', '.join(map(str, np.unique(labels)[:3]))}"
        )
    return np.where(np.isnan(labels), -1, labels).astype(np.int8)


def _read_arrays(path: Path) -> Panel:
    try:
        arrays = read_npz(path, ("values",), ("is_anomaly",))
        values, labels = arrays["values"], arrays.get("is_anomaly")
    except Exception as error:  # NumPy and zipfile raise many kinds of errors for damaged files
        why = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path} must be an npz file with the array values: {why}") from error
    values = values[None] if values.ndim == 2 else values
    if values.ndim != 3 or not values.shape[2] or values.dtype.kind not in "fiu" or has_too_large(values):
        raise UserError(
            f"{path}: values must be finite numbers (steps, columns) or (series, steps, columns), NaN where missing; "
            f"got {values.dtype} {values.shape}"
        )
    check_array(f"{path}: values", values)
    series, steps, columns = values.shape
    marks = np.full((series * steps, 2), -1, np.int8)
    if labels is not None:
        if labels.size != series * steps:
            raise UserError(f"{path}: is_anomaly must have one number for each step; got {labels.shape}")
        marks[:, 1] = _read_marks(path, labels.reshape(-1))
    return make_panel(
        Rows(
            values.reshape(-1, columns).astype(np.float32),
            np.repeat(np.arange(series), steps),
            np.tile(np.arange(steps) * 1_000_000, series),
            marks,
        ),
        is_number=True,
        has_splits=False,
        has_labels=labels is not None,
        where=str(path),
        ids=tuple(map(str, range(series))),
        columns=tuple(map(str, range(columns))),
        targets=columns,
        past=0,
        notice=make_file_notice(path),
    )
