"""Anomaly scores for files of series with an export: LiteRT and NumPy; no TensorFlow."""

from pathlib import Path

import numpy as np

from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle
from tfpar.export.bundle.model_file import load_model
from tfpar.export.generic.inputs import InputKind
from tfpar.tasks.time_series.anomaly_scores import score_steps, smooth
from tfpar.tasks.time_series.histories import TableFormat
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
        self.threshold, self._table = float(series["threshold"]), TableFormat.from_manifest(series)

    def __call__(self, source: str) -> dict:
        """Score each step of a file.

        Args:
            source: path of a csv or tsv file with a header, a row for each step and the columns of training.

        Returns:
            {"input", "threshold", "alarms": number of steps above it, "steps": [{"step" or "time", "score",
            "is_alarm"}]}; of several series {"input", "threshold", "alarms", "series": [{"id", "alarms", "steps"}]}.

        Raises:
            UserError: the file cannot be read, lacks a column, or a series is shorter than a window.
        """
        found = [self._describe(*one) for one in self.score(source)]
        alarms = sum(one["alarms"] for one in found)
        facts = {"input": source, "threshold": self.threshold, "alarms": alarms}
        return facts | ({"steps": found[0]["steps"]} if len(found) == 1 else {"series": found})

    def _describe(self, name, scores, times):
        steps = [
            {"time" if times else "step": times[step] if times else step}
            | {"score": float(score), "is_alarm": bool(score > self.threshold)}
            for step, score in enumerate(scores)
        ]
        return {"id": name, "alarms": int((scores > self.threshold).sum()), "steps": steps}

    def score(self, source: str) -> list[tuple[str, np.ndarray, list]]:
        """Return name, scores, float64 (steps,), and times, [] if the file has none, of each series."""
        return self._score_panel(source, self._table.read(Path(source), self._columns))

    def score_labeled(self, source: str, label_column: str) -> tuple[np.ndarray, np.ndarray, list[int]]:
        """Return labels, int8 (steps,), and scores, float64 (steps,), of all series of a file, one after the other.

        The third result has the first step of each series.
        """
        panel = self._table.read(Path(source), self._columns, label_column)
        found = self._score_panel(source, panel)
        assert panel.labels is not None
        return np.array(panel.labels), np.concatenate([scores for _, scores, _ in found]), panel.offsets[:-1].tolist()

    def _score_panel(self, source, panel):
        if panel.has_missing and not self._has_indicators:
            raise UserError(f"{source} has missing values, and this model was trained without any; fill them")
        found = []
        for name, first, end in panel.list_series(least=self._steps):
            values = panel.values[first:end]
            scores = score_steps(self._estimate, values, self._steps, self._shift, self._deviation)
            times = [panel.grid.format(int(one)) for one in panel.times[first:end]] if panel.time_column else []
            found.append((name, smooth(scores, self._smoothing), times))
        return found

    def _estimate(self, windows):
        inputs = add_indicators(windows, self._has_indicators)
        return np.concatenate([next(iter(self._model(series=one[None]).values())) for one in inputs])

    def plot(self, source: str, path: Path) -> None:
        """Plot the scores of the first series of a file and the threshold, as a PNG."""
        from tfpar.tasks.time_series.series_plots import draw_scores

        draw_scores(self.score(source)[0][1], self.threshold, None, path)
