"""Export of anomaly detectors."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from tfpar.errors import RefusedFileError
from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.generic.measured_export import MeasuredExport
from tfpar.export.micro.interpreter_process import run_in_micro
from tfpar.export.report.plots import draw_learning_curve
from tfpar.tasks.time_series.forecast_data import ForecastData
from tfpar.tasks.time_series.panels import describe_table
from tfpar.tasks.time_series.predict import ANOMALY
from tfpar.tasks.time_series.series_plots import draw_scores
from tfpar.tasks.time_series.windows import add_indicators

_MOST_CHANGED_SCORE = {"dynamic": 0.1, "int8": 0.25}  # as a fraction of the Keras model's mean score

_INPUT = (
    "Input: float32 (1, {steps}, {width}): {steps} steps of {columns}, in the units of the training data. Output: an "
    "estimate of {what}, in the same units. The score of a step is the mean over the columns of the squared difference "
    "between value and estimate, divided by the deviation of the training steps; the mean over {smoothing} steps is "
    "compared with the threshold {threshold:.4g}."
)
_USE = """    tfpar predict . series.csv --plot scores.png

A csv file has a header, a row for each step, and a column for each name above."""
_LIMITS = (
    "It finds what differs from the training data, whatever the reason; the threshold holds for data like those of the "
    "validation split."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectorExport(MeasuredExport):
    """Export of an anomaly detector, measured on windows of its test split.

    Attributes:
        model: float32 (batch, steps, columns) "series" -> float32 (batch, steps, columns).
        data: that it was trained on.
        shift: 1 if an estimate is that of the next step.
        smoothing: steps over which scores are averaged.
        streaming: add a signature for steps.
        found: "threshold", and "scores" and "labels" (or None) of the test steps.
        test_windows: float32 (windows, steps, columns), NaN: missing.
        test_estimates: float32 (windows, steps, columns), of the trained model.
        reading: see `describe_table`.
    """

    data: ForecastData
    shift: int
    smoothing: int
    streaming: bool
    found: dict[str, Any]
    test_windows: np.ndarray
    test_estimates: np.ndarray
    reading: dict[str, str] = dataclasses.field(default_factory=dict)

    def make_manifest_fields(self) -> dict[str, Any]:
        panel = self.data.panel
        series = {
            "steps": self.data.input_length,
            "columns": list(panel.columns),
            "has_indicators": self.data.has_indicators,
            "deviation": list(self.data.scaling.deviation),
            "shift": self.shift,
            "smoothing": self.smoothing,
            "threshold": self.found["threshold"],
            **describe_table(panel, self.reading),
        }
        return {"task": ANOMALY, "series": series}

    def make_card_sections(self) -> dict[str, str]:
        fields = self.make_manifest_fields()["series"]
        what = "the next step" if self.shift else "the window"
        columns = ", ".join(fields["columns"])
        text = _INPUT.format(**{**fields, "columns": columns}, width=self._inputs.shape[-1], what=what)
        return {"input": text, "pictures": "![scores](scores.png)", "use": _USE, "limits": _LIMITS}

    def write_task_files(self, directory: Path, predictions: np.ndarray) -> None:
        draw_learning_curve(self.history, directory / "learning_curve.png")
        draw_scores(self.found["scores"], self.found["threshold"], self.found["labels"], directory / "scores.png")

    @property
    def _inputs(self) -> np.ndarray:
        return add_indicators(self.test_windows, self.data.has_indicators)

    def predict_with_keras(self) -> np.ndarray:
        return self.test_estimates

    def predict_with_tflite(self, path: Path, rows: np.ndarray) -> np.ndarray:
        model, inputs = TFLiteModel(path), self._inputs
        return np.concatenate([next(iter(model(series=inputs[row][None]).values())) for row in rows])

    def predict_with_micro(self, path: Path, rows: np.ndarray) -> np.ndarray:
        (outputs,) = run_in_micro(path.read_bytes(), {"series": self._inputs[rows][:, None]}).outputs.values()
        return outputs[:, 0]

    def tflite_options(self) -> dict[str, Any]:
        return {"streaming": self.streaming}

    def make_late_manifest_fields(self, directory: Path, formats: tuple[str, ...]) -> dict[str, Any]:
        if self.streaming:
            return {"signatures": self.read_file_signatures(directory, formats)}
        return super().make_late_manifest_fields(directory, formats)

    def score(self, predictions: np.ndarray, rows: np.ndarray) -> dict[str, float]:
        truth, steps = self.test_windows[rows], self.data.input_length
        errors = (truth[:, self.shift :] - predictions[:, : steps - self.shift]) / np.array(self.data.scaling.deviation)
        return {"mean_score": float(np.nanmean(np.square(errors, dtype=np.float64)))}

    def _check_accuracy(self, chosen, report, found, predictions, rows) -> None:
        """Refuse a file whose mean score differs from that of the model by more than its format allows."""
        expected, value = self.score(predictions, rows)["mean_score"], report["metrics"]["mean_score"]
        allowed = _MOST_CHANGED_SCORE.get(chosen.name, 0.01) * expected + 1e-6
        if abs(value - expected) > allowed:
            raise RefusedFileError(
                f"the {chosen.name} file has a mean score of {value:.4g}, Keras {expected:.4g}; they may differ by at "
                f"most {allowed:.4g}. Remedy: {self.remedy(chosen)}; or omit the format {chosen.name}",
                {key: report[key] for key in ("bytes", "metrics", "examples", "max_abs_error")},
            )
