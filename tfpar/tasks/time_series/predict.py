"""Predictions for files of series with an export: LiteRT and NumPy; no TensorFlow."""

from pathlib import Path
from typing import Any

import numpy as np

from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle
from tfpar.export.bundle.labels import label_probabilities, read_labels
from tfpar.export.bundle.model_file import load_model
from tfpar.export.generic.inputs import InputKind
from tfpar.tasks.time_series.histories import HistoryReader, TableFormat
from tfpar.tasks.time_series.labeled import CLASSES, MULTI_LABEL
from tfpar.tasks.time_series.series_files import read_series
from tfpar.tasks.time_series.windows import add_indicators

CLASSIFICATION = "time_series_classification"
FORECASTING = "time_series_forecasting"
ANOMALY = "time_series_anomaly"

_INPUT = (
    "Input: float32 (1, {steps}, {columns}): {steps} steps of {channels}, in the units of the training data; the "
    "network itself standardizes them."
)
_INDICATORS = (
    " The second half of the columns are indicators: 1 where a value is observed, 0 where it is missing or after the "
    "last step; there the value is 0."
)


def describe_input(series: dict[str, Any]) -> str:
    """Describe the input for the card, from the field "series" of the manifest."""
    channels, factor = series["channels"], 2 if series["has_indicators"] else 1
    text = _INPUT.format(steps=series["steps"], columns=factor * len(channels), channels=", ".join(channels))
    return text + (_INDICATORS if series["has_indicators"] else "")


class SeriesClassifier:
    """Classifier of series, or regressor, with an exported model.

    Args:
        bundle: the export.
        format_name: "float32", "float16", "dynamic" or "int8"; None for the first of these that is there.

    Attributes:
        input_kind: `InputKind`.
        labels: names of the classes; empty for a regressor.

    Raises:
        UserError: the export lacks the format or a file, or one was changed.
    """

    input_kind = InputKind(("path",), ("series",), (".csv", ".tsv", ".ts", ".npz"), is_table=True)

    def __init__(self, bundle: Bundle, format_name: str | None = None):
        self.format, self._model = load_model(bundle, format_name)
        series = bundle.manifest["series"]
        self._steps, self._channels = int(series["steps"]), list(series["channels"])
        self._has_indicators, self._kind = bool(series["has_indicators"]), series["label_kind"]
        ((name, (shape, _)),) = self._model.outputs.items()
        self.labels = read_labels(bundle, shape[-1]) if name == "probabilities" else []

    def __call__(self, source: str | np.ndarray) -> dict:
        """Classify the series of a file.

        Args:
            source: path of a csv, tsv, ts or npz file, see `read_series`; or float (steps, channels), NaN: missing.

        Returns:
            {"input", and of one series "label", "probabilities" (by label), or "labels", or "number"; of several
            "series": a list of these}.

        Raises:
            UserError: the file cannot be read, or a series does not fit the model.
        """
        series = [source] if isinstance(source, np.ndarray) else read_series(Path(source), self._channels)
        predictions = [self._predict(one) for one in series]
        return {"input": source, **(predictions[0] if len(predictions) == 1 else {"series": predictions})}

    def plot(self, source: str, path: Path) -> None:
        """Plot the first series of a file below its prediction, as a PNG."""
        from tfpar.tasks.time_series.series_plots import draw_labeled

        series = read_series(Path(source), self._channels)[0]
        prediction = self._predict(series)
        if not self.labels:
            title = f"{prediction['number']:.4g}"
        elif self._kind == CLASSES:
            title = f"{prediction['label']} ({prediction['probabilities'][prediction['label']]:.0%})"
        else:
            title = ", ".join(prediction["labels"]) or "no label"
        draw_labeled(series, self._channels, title, path)

    def _predict(self, series: np.ndarray) -> dict:
        (output,) = self._model(series=self._fit(series)).values()
        if not self.labels:
            return {"number": float(output[0, 0])}
        prediction = label_probabilities(self.labels, output[0])
        if self._kind == CLASSES:
            return prediction
        assert self._kind == MULTI_LABEL
        probabilities = prediction["probabilities"]
        return {
            "labels": [label for label in self.labels if probabilities[label] >= 0.5],
            "probabilities": probabilities,
        }

    def _fit(self, series):
        if series.ndim != 2 or series.shape[1] != len(self._channels) or not len(series):
            raise UserError(
                f"a series must be float (steps, {len(self._channels)}) for {', '.join(self._channels)}; got "
                f"{series.shape}"
            )
        if len(series) > self._steps or (not self._has_indicators and len(series) < self._steps):
            least = "at most" if self._has_indicators else "exactly"
            raise UserError(f"a series must have {least} {self._steps} steps for this model; got {len(series)}")
        if np.isnan(series).any() and not self._has_indicators:
            raise UserError("the series has missing values, and this model was trained without any; fill them")
        if np.isnan(series).all():
            raise UserError("all values of the series are missing")
        padded = np.full((self._steps, series.shape[1]), np.nan, np.float32)
        padded[: len(series)] = series
        return add_indicators(padded, self._has_indicators)[None]


class SeriesForecaster:
    """Forecaster with an exported model.

    Args:
        bundle: the export of a forecaster.
        format_name: see `SeriesClassifier`.

    Attributes:
        input_kind: `InputKind`.
        reader: of the files to forecast.
        levels: of the quantiles.

    Raises:
        UserError: the export lacks the format or a file, or one was changed.
    """

    input_kind = InputKind(("path",), ("series",), (".csv", ".tsv"), is_table=True)

    def __init__(self, bundle: Bundle, format_name: str | None = None):
        self.format, self._model = load_model(bundle, format_name)
        series = bundle.manifest["series"]
        self._input_length, self._horizon = int(series["input_length"]), int(series["horizon"])
        self._targets, self._past = list(series["targets"]), list(series["past"])
        self.levels = list(series["levels"])
        self._has_indicators = bool(series["has_indicators"])
        calendar = list(series["calendar"])
        known = list(series["known"])[: len(series["known"]) - len(calendar)]
        self.reader = HistoryReader(
            TableFormat.from_manifest(series),
            targets=len(self._targets),
            columns=(*self._targets, *self._past, *known),
            known=len(known),
            static=int(series["static"]),
            calendar=calendar,
            input_length=self._input_length,
            horizon=self._horizon,
            statistics=series.get("statistics"),
        )

    def __call__(self, source: str) -> dict:
        """Forecast the steps after the last row of each series of a file.

        Args:
            source: path of a csv or tsv file with a header, a row for each step and the columns of training; see
                `HistoryReader.read_ends`.

        Returns:
            {"input", "steps": [{"step" or "time", and for each target {"forecast", "low", "high"}}]}; of several series
            {"input", "series": [{"id", "steps"}]}.

        Raises:
            UserError: the file cannot be read, lacks a column, or is shorter than the model's input.
        """
        histories = self.reader.read_ends(Path(source))
        if len(histories) == 1:
            return {"input": source, "steps": self._describe(histories[0])}
        return {"input": source, "series": [{"id": one.name, "steps": self._describe(one)} for one in histories]}

    def _describe(self, history):
        forecast, quantiles = self.forecast(history.values)
        steps = []
        for step in range(self._horizon):
            values: dict[str, Any] = {"time": history.times[step]} if history.times else {"step": step + 1}
            for index, name in enumerate(self._targets):
                values[name] = {"forecast": float(forecast[step, index])}
                if quantiles is not None:
                    values[name] |= {"low": float(quantiles[step, index, 0]), "high": float(quantiles[step, index, -1])}
            steps.append(values)
        return steps

    def forecast(self, history: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Forecast from the values of a `History`.

        Returns:
            float (horizon, targets), and float (horizon, targets, levels) or None.
        """
        ahead = history[self._input_length :, len(self._targets) + len(self._past) :]
        if not self._has_indicators and (np.isnan(history[: self._input_length]).any() or np.isnan(ahead).any()):
            raise UserError("the series has missing values, and this model was trained without any; fill them")
        if np.isnan(history[: self._input_length, : len(self._targets)]).all():
            raise UserError(f"all values of the last {self._input_length} steps are missing")
        inputs = np.array(history)
        inputs[self._input_length :, : len(self._targets) + len(self._past)] = np.nan
        (output,) = self._model(series=add_indicators(inputs, self._has_indicators)[None]).values()
        if output.ndim == 4:
            return output[0, ..., self.levels.index(0.5)], output[0]
        return output[0], None

    def plot(self, source: str, path: Path) -> None:
        """Plot the last steps of the first series of a file, the forecast and its interval, as a PNG."""
        from tfpar.tasks.time_series.series_plots import draw_series

        history = self.reader.read_ends(Path(source))[0].values
        forecast, quantiles = self.forecast(history)
        values = np.full((self._input_length + self._horizon, len(self._targets)), np.nan)
        values[: self._input_length] = history[: self._input_length, : len(self._targets)]
        draw_series(values, forecast, quantiles, tuple(self._targets), path)
