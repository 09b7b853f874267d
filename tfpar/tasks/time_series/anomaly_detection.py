"""Training of an anomaly detector."""

from typing import Any

import numpy as np

from tfpar.errors import UserError
from tfpar.tasks import training
from tfpar.tasks.base import SPLITS, Evaluation
from tfpar.tasks.console import log
from tfpar.tasks.time_series.anomaly_scores import (
    average_precision,
    range_scores,
    rolling_z_scores,
    score_steps,
    smooth,
)
from tfpar.tasks.time_series.forecast_data import ForecastData
from tfpar.tasks.time_series.recipe import TimeSeries
from tfpar.tasks.time_series.windows import add_indicators, window_batches

DEFAULT_SPLIT = "0.4,0.2,0.4"


class AnomalyDetection(TimeSeries):
    """Anomaly detection; `data` is a `ForecastData` without a horizon."""

    def load(self, replicas: int) -> ForecastData:
        from tfpar.tasks.time_series.forecast_data import split_panel
        from tfpar.tasks.time_series.panels import load_configured_panel, log_constant_columns

        self._replicas = replicas
        config = self.config
        panel = load_configured_panel(config)
        split = config.split or ("" if panel.splits is not None else DEFAULT_SPLIT)
        data = split_panel(panel, config.input_length, 0, split)
        if not len(data.windows("validation")):
            raise UserError(
                f"{data.name}: the validation split has no window of {config.input_length} steps, and the threshold is "
                "set on it; lower --input_length or give it more steps by --split"
            )
        labels = "with labels" if panel.labels is not None else "without labels, so there is no evaluation"
        log(f"{data.name}: {self.describe_counts(data)} windows; {labels}; {data.notice}")
        log(f"splits: {data.split_rule}")
        log_constant_columns(data.scaling, panel.columns)
        return data

    def count_examples(self, data: ForecastData) -> dict[str, int]:
        return {split: len(data.windows(split)) for split in SPLITS}

    def padding_fraction(self, data: ForecastData) -> float:
        del data  # all windows have the same length
        return 0.0

    @property
    def shift(self) -> int:
        """1 if an estimate is that of the next step."""
        return int(self.config.model == "residual")

    def build(self, data: ForecastData) -> Any:
        from tfpar import models, train

        config = self.config
        network = models.anomaly_autoencoder(
            config.model,
            columns=len(data.panel.columns),
            steps=config.input_length,
            mean=data.scaling.mean,
            deviation=data.scaling.deviation,
            has_indicators=data.has_indicators,
            cell=config.cell,
            units=config.units,
            seed=config.seed,
        )
        return train.Model(network.input, network.output, name="time_series")

    def make_batches(self, data: ForecastData, split: str, shuffle: bool, first_epoch: int = 0) -> Any:
        """Make a `tf.data.Dataset` of (series, values to be estimated, weights)."""
        windows = data.windows(split)

        def make_rows(indices, _):
            rows = windows.gather(indices)
            truth = np.full_like(rows, np.nan)
            truth[:, : rows.shape[1] - self.shift] = rows[:, self.shift :]
            return add_indicators(rows, data.has_indicators), truth

        shape = (self.config.input_length, len(data.panel.columns))
        return window_batches(
            windows,
            make_rows,
            ((shape[0], shape[1] * (2 if data.has_indicators else 1)), shape),
            batch_size=self.config.batch_size,
            shuffle=shuffle,
            seed=self.config.seed,
            replicas=self._replicas,
            first_epoch=first_epoch,
            at_most=self.config.windows_per_epoch if shuffle else 0,
        )

    def fit(self, model: Any, data: ForecastData) -> tuple[dict[str, list[float]], dict[str, float]]:
        from tfpar.tasks.time_series.losses import SquaredError

        config = self.config
        batches = self.make_batches(data, "train", shuffle=True, first_epoch=training.first_epoch(config))
        model.compile(
            training.make_optimizer(config, training.count_steps(config, batches)),
            SquaredError(data.scaling.deviation),
            jit_compile=config.xla,
        )
        validation = self.make_batches(data, "validation", shuffle=False)
        return training.fit(config, model, batches, validation, examples=len(data.windows("train")))

    def evaluate(self, model: Any, data: ForecastData) -> Evaluation:
        scores = {split: self._score(model, data, split) for split in ("validation", "test")}
        threshold = float(np.quantile(scores["validation"], 1 - self.config.false_alarm_rate))
        test = scores["test"]
        metrics = {
            "threshold": threshold,
            "mean_score": float(np.mean(test)),
            "alarm_rate": float(np.mean(test > threshold)),
        }
        labels = self._pick(data, data.panel.labels, "test") if data.panel.labels is not None else None
        if labels is not None:
            metrics |= self._measure(data, labels, test, threshold)
        results = {"task": self.config.task, "model": self.config.model}
        return Evaluation(metrics, results, predictions={"threshold": threshold, "scores": test, "labels": labels})

    def _measure(self, data, labels, scores, threshold):
        """Return metrics of known steps; {} if the test split has no anomaly, or nothing else."""
        lengths = [b - a for a, b in self._ranges(data, "test")]
        ranges = range_scores(labels, scores > threshold, np.cumsum([0, *lengths[:-1]]).tolist())
        known = labels >= 0
        labels, scores = labels[known], scores[known]
        if len(np.unique(labels)) < 2:
            log("the test split has no anomaly or no normal step, so there is no evaluation")
            return {}
        steps = self.config.input_length
        baseline = np.concatenate([rolling_z_scores(v, steps) for v in self._values(data, "test")])[known]
        return {
            "average_precision": average_precision(labels, scores),
            "z_score_average_precision": average_precision(labels, baseline),
            "anomaly_rate": float(labels.mean()),
            "false_alarm_rate": float((scores[labels == 0] > threshold).mean()),
            **ranges,
        }

    def _score(self, model, data, split):
        """Return the scores of all steps of a split, series by series."""

        def estimate(windows):
            return _estimate(model, data, windows)

        deviation = np.array(data.scaling.deviation)
        return np.concatenate(
            [
                smooth(score_steps(estimate, v, self.config.input_length, self.shift, deviation), self.config.smoothing)
                for v in self._values(data, split)
            ]
        )

    def _values(self, data, split):
        """Return the values of each series of a split that has a window."""
        return [data.panel.values[a:b] for a, b in self._ranges(data, split)]

    def _ranges(self, data, split):
        index = SPLITS.index(split)
        ranges = zip(data.begin[index], data.end[index], strict=True)
        return [(int(a), int(b)) for a, b in ranges if b - a >= self.config.input_length]

    def _pick(self, data, steps, split):
        return np.concatenate([steps[a:b] for a, b in self._ranges(data, split)])

    def make_exporter(
        self,
        model: Any,
        data: ForecastData,
        evaluation: Evaluation,
        history: dict[str, list[float]],
        facts: dict[str, Any],
    ) -> Any:
        import keras

        from tfpar.tasks.time_series.detector_export import DetectorExport
        from tfpar.tasks.time_series.panels import reading_of

        windows = data.windows("test")
        chosen = np.unique(np.linspace(0, len(windows) - 1, min(len(windows), 200)).astype(int))
        test_windows = windows.gather(chosen)
        return DetectorExport(
            model=keras.Model(model.input, model.output, name="time_series"),
            data=data,
            shift=self.shift,
            smoothing=self.config.smoothing,
            streaming=self.config.streaming,
            found=evaluation.predictions,
            test_windows=test_windows,
            test_estimates=_estimate(model, data, test_windows),
            test_labels=np.zeros(len(chosen), np.int32),
            calibration=self.make_batches(data, "train", shuffle=True),
            history=history,
            facts=facts,
            form=self.config.form,
            target=self.config.target,
            reading=reading_of(self.config),
        )

    def describe_model(self) -> str:
        config = self.config
        cell = f"{config.cell_title} of {config.units} units"
        if config.model == "autoencoder":
            return f"Sequence autoencoder of windows of {config.input_length} steps, {cell}; its errors are the scores."
        return f"{cell} that forecasts the next step; its errors are the scores."


def _estimate(model, data, windows):
    """Return the model's estimates of windows (windows, steps, columns), NaN: missing."""
    return np.asarray(model.predict(add_indicators(windows, data.has_indicators), batch_size=256, verbose=0))
