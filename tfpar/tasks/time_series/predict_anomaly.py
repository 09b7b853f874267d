"""Anomaly scores for files of series with an export: LiteRT and NumPy; no TensorFlow."""

from pathlib import Path

import numpy as np

from tfpar.data.readers.delimited import Dialect
from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle
from tfpar.export.bundle.model_file import load_model
from tfpar.export.generic.inputs import InputKind
from tfpar.tasks.time_series.anomaly_scores import score_steps, smooth
from tfpar.tasks.time_series.panel_tables import PanelColumns, read_header, read_panel
from tfpar.tasks.time_series.windows import add_indicators


class AnomalyDetector:
    """Anomaly detector with an exported model.

    Args:
        bundle: the export of a detector.
        format_name: see `tfpar.tasks.time_series.predict.SeriesClassifier`.

    Attributes:
        input_kind: `InputKind`.
        threshold: of the scores.

    Raises:
        UserError: the export lacks the format or a file, or one was changed.
    """

    input_kind = InputKind(("path",), ("series",), (".csv", ".tsv"), is_table=True)

    def __init__(self, bundle: Bundle, format_name: str | None = None):
        self.format, self._model = load_model(bundle, format_name)
        series = bundle.manifest["series"]
        self._columns, self._steps = list(series["columns"]), int(series["steps"])
        self._has_indicators, self._deviation = bool(series["has_indicators"]), np.array(series["deviation"])
        self._shift, self._smoothing = int(series["shift"]), int(series["smoothing"])
        self.threshold, self._time_column = float(series["threshold"]), series["time_column"]

    def __call__(self, source: str) -> dict:
        """Score each step of a file.

        Args:
            source: path of a csv or tsv file with a header, a row for each step and the columns of training.

        Returns:
            {"input", "threshold", "alarms": number of steps above it, "steps": [{"step" or "time", "score",
            "is_alarm"}]}.

        Raises:
            UserError: the file cannot be read, lacks a column, or is shorter than a window.
        """
        scores, times = self.score(source)
        steps = [
            {"time": times[step]} | self._describe(score) if times else {"step": step} | self._describe(score)
            for step, score in enumerate(scores)
        ]
        alarms = int((scores > self.threshold).sum())
        return {"input": source, "threshold": self.threshold, "alarms": alarms, "steps": steps}

    def _describe(self, score):
        return {"score": float(score), "is_alarm": bool(score > self.threshold)}

    def score(self, source: str) -> tuple[np.ndarray, list]:
        """Return the score of each step, float64 (steps,), and the times, [] if the file has none."""
        path = Path(source)
        kind = path.suffix.removeprefix(".").lower()
        if kind not in ("csv", "tsv"):
            raise UserError(f"a series to score must be a .csv or .tsv file; got {source!r}")
        dialect = Dialect(kind == "csv")
        time = self._time_column if self._time_column in read_header(path, dialect) else ""
        panel = read_panel(path, dialect, PanelColumns(time=time, targets=tuple(self._columns)))
        if len(panel.values) < self._steps:
            raise UserError(f"{path} has {len(panel.values)} steps; this model needs {self._steps}")
        if panel.has_missing and not self._has_indicators:
            raise UserError(f"{path} has missing values, and this model was trained without any; fill them")
        scores = smooth(
            score_steps(self._estimate, panel.values, self._steps, self._shift, self._deviation), self._smoothing
        )
        return scores, [panel.grid.format(int(one)) for one in panel.times] if time else []

    def _estimate(self, windows):
        inputs = add_indicators(windows, self._has_indicators)
        return np.concatenate([next(iter(self._model(series=one[None]).values())) for one in inputs])

    def plot(self, source: str, path: Path) -> None:
        """Plot the scores of a file and the threshold, as a PNG."""
        from tfpar.tasks.time_series.series_plots import draw_scores

        draw_scores(self.score(source)[0], self.threshold, None, path)
