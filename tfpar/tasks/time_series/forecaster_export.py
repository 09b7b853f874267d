"""Export of forecasters."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from tfpar.errors import RefusedFileError
from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.generic.measured_export import MeasuredExport
from tfpar.export.micro.interpreter_process import run_in_micro
from tfpar.export.report.html_report import Table
from tfpar.export.report.plots import draw_learning_curve
from tfpar.tasks.time_series.backtest import LEVELS, Backtest
from tfpar.tasks.time_series.forecast_data import ForecastData
from tfpar.tasks.time_series.panels import describe_table
from tfpar.tasks.time_series.predict import FORECASTING
from tfpar.tasks.time_series.series_plots import draw_error_by_horizon, draw_forecast

_SERIES_LISTED = 10_000  # in the manifest, at most
_WINDOWS = 200  # of the test split, on which each file is measured
_MOST_ADDED_ERROR = {"dynamic": 0.03, "int8": 0.1}  # as a fraction of the Keras model's

_INPUT = (
    "Input: float32 (1, {steps}, {width}): {input_length} steps of {columns}, in the units of the training data; the "
    "network itself standardizes them. Output: {horizon} steps of {targets}, in the same units."
)
_USE = """    tfpar predict . series.csv --plot forecast.png

A csv file has a header, a row for each step, a column for each name above, and the column of times, if training had
one; the forecast starts after its last row. Columns that are known ahead go on for the steps of the forecast,
in rows whose other columns are empty."""
_LIMITS = (
    "A forecast continues what the training data show. It does not know of events, and its intervals hold only if the "
    "future is like the validation split."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForecasterExport(MeasuredExport):
    """Export of a forecaster, measured on rolling origins of its test split.

    Attributes:
        model: float32 (batch, steps, columns) "series" -> float32 (batch, horizon, targets) "forecast" or (batch,
            horizon, targets, levels) "quantiles".
        data: that it was trained on.
        backtest: of the trained model.
        test_series: float32 (windows, steps, columns), the test windows as the model takes them.
        reading: see `describe_table`.
    """

    data: ForecastData
    backtest: Backtest
    test_series: np.ndarray
    reading: dict[str, str] = dataclasses.field(default_factory=dict)

    def make_manifest_fields(self) -> dict[str, Any]:
        data, panel = self.data, self.data.panel
        series = {
            "input_length": data.input_length,
            "horizon": data.horizon,
            "targets": list(panel.columns[: panel.targets]),
            "past": list(panel.columns[panel.targets : panel.targets + panel.past]),
            "known": list(panel.columns[panel.targets + panel.past :][: data.known]),
            "static": panel.static,
            "calendar": list(panel.calendar),
            "statistics": self._list_statistics(),
            "has_indicators": data.has_indicators,
            "levels": list(LEVELS),
            **describe_table(panel, self.reading),
        }
        return {"task": FORECASTING, "series": series}

    def _list_statistics(self) -> dict[str, list[float]] | None:
        """Return mean and deviation of the targets by series, {} of very many; None: they are no columns."""
        panel = self.data.panel
        if not panel.statistics:
            return None
        if len(panel.ids) > _SERIES_LISTED:
            return {}
        rows = panel.values[panel.offsets[:-1], -panel.statistics :]
        return {name: row.tolist() for name, row in zip(panel.ids, rows, strict=True)}

    def make_card_sections(self) -> dict[str, str]:
        panel = self.data.panel
        text = _INPUT.format(
            steps=self.data.input_steps,
            width=self.test_series.shape[-1],
            input_length=self.data.input_length,
            columns=", ".join(panel.columns),
            horizon=self.data.horizon,
            targets=", ".join(panel.columns[: panel.targets]),
        )
        pictures = f"{_describe_baselines(self.backtest.baselines)}\n![forecast](forecast.png)"
        return {"input": text, "pictures": pictures, "use": _USE, "limits": _LIMITS}

    def make_report_tables(self) -> dict[str, Table]:
        names = ("name", "origins", "mse", "mae", "smape", "mase")
        rows = [[entry.get(name) for name in names] for entry in self.backtest.baselines]
        rows = [[str(name).replace("_", " "), *cells] for name, *cells in rows]
        return {"Backtest over rolling origins": Table(("forecast", "origins", "MSE", "MAE", "sMAPE", "MASE"), rows)}

    def write_task_files(self, directory: Path, predictions: np.ndarray) -> None:
        draw_learning_curve(self.history, directory / "learning_curve.png")
        draw_forecast(self.data, self.backtest, directory / "forecast.png")
        draw_error_by_horizon(self.backtest.error_by_horizon, directory / "error_by_horizon.png")

    def predict_with_keras(self) -> np.ndarray:
        return self.backtest.forecast

    def predict_with_tflite(self, path: Path, rows: np.ndarray) -> np.ndarray:
        model = TFLiteModel(path)
        outputs = [next(iter(model(series=self.test_series[row][None]).values())) for row in rows]
        return self._point(np.concatenate(outputs))

    def predict_with_micro(self, path: Path, rows: np.ndarray) -> np.ndarray:
        (outputs,) = run_in_micro(path.read_bytes(), {"series": self.test_series[rows][:, None]}).outputs.values()
        return self._point(outputs[:, 0])

    def _point(self, outputs: np.ndarray) -> np.ndarray:
        return outputs[..., LEVELS.index(0.5)] if outputs.ndim == 4 else outputs

    def choose_test_rows(self) -> np.ndarray:
        count = len(self.test_labels)
        return np.unique(np.linspace(0, count - 1, min(count, _WINDOWS)).astype(int))

    def score(self, predictions: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        errors = (predictions.astype(np.float64) - self.backtest.truth[rows]) / self._deviation
        return {"mse": float(np.nanmean(np.square(errors)))}

    @property
    def _deviation(self):
        return np.array(self.data.scaling.deviation[: self.data.targets])

    def _check_accuracy(self, chosen, report, found, predictions, rows) -> None:
        """Refuse a file whose error exceeds that of the model by more than its format allows."""
        expected, value = self.score(predictions, rows)["mse"], report["metrics"]["mse"]
        allowed = expected * (1 + _MOST_ADDED_ERROR.get(chosen.name, 0.01)) + 1e-6
        if value > allowed:
            raise RefusedFileError(
                f"the {chosen.name} file has a test mse of {value:.4f}, Keras {expected:.4f}; at most {allowed:.4f} is "
                f"allowed. Remedy: {self.remedy(chosen)}; or omit the format {chosen.name}",
                {key: report[key] for key in ("bytes", "metrics", "examples", "max_abs_error")},
            )


def _describe_baselines(baselines: list[dict[str, Any]]) -> str:
    """Format the table of a backtest for the card."""
    lines = ["| forecast | origins | MSE | MAE | MASE |", "|---|---|---|---|---|"]
    for entry in baselines:
        mase = f"{entry['mase']:.3f}" if "mase" in entry else ""
        name = entry["name"].replace("_", " ")
        lines.append(f"| {name} | {entry['origins']:,} | {entry['mse']:.4f} | {entry['mae']:.4f} | {mase} |")
    return "\n".join([*lines, ""])
