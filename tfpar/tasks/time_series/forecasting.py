"""Training of a forecaster."""

from typing import Any

import numpy as np

from tfpar.errors import UserError
from tfpar.tasks import training
from tfpar.tasks.base import SPLITS, Evaluation
from tfpar.tasks.console import log
from tfpar.tasks.time_series.backtest import LEVELS
from tfpar.tasks.time_series.baselines import has_smoothing
from tfpar.tasks.time_series.forecast_data import ForecastData, check_counts
from tfpar.tasks.time_series.recipe import TimeSeries
from tfpar.tasks.time_series.windows import window_batches


class SeriesForecasting(TimeSeries):
    """Forecasting; `data` is a `ForecastData`."""

    def load(self, replicas: int) -> ForecastData:
        from tfpar.tasks.time_series.forecast_data import add_calendar, add_series_statistics, split_panel
        from tfpar.tasks.time_series.panels import load_configured_panel, log_constant_columns

        self._replicas = replicas
        config = self.config
        panel = load_configured_panel(config)
        if config.calendar:
            panel = add_calendar(panel)
            if not panel.calendar:
                log("--calendar has no effect: the times are no dates, or more than a month apart")
        data = split_panel(panel, config.input_length, config.horizon, config.split, config.split_by == "series")
        if config.scaling == "series":
            data = add_series_statistics(data)
        if config.model == "segrnn":
            self._check_segment()
        if self._has_counts:
            check_counts(data)
        count = f"{len(panel.ids):,} series, {len(panel.values):,} steps x {len(panel.columns)}"
        log(f"{data.name}: {self.describe_counts(data)} windows; {count}; {data.notice}")
        log(f"splits: {data.split_rule}")
        log_constant_columns(data.scaling, panel.columns)
        if not has_smoothing():
            log("exponential smoothing is no baseline without statsmodels; run: pip install 'tfpar[time_series]'")
        return data

    def _check_segment(self):
        config = self.config
        if config.input_length % self.segment or config.horizon % self.segment:
            raise UserError(
                f"--segment must divide --input_length and --horizon; got {self.segment}, {config.input_length} and "
                f"{config.horizon}"
            )

    @property
    def segment(self) -> int:
        """Steps of a segment: the setting, or the largest common divisor of input and horizon up to 24."""
        config = self.config
        common = np.gcd(config.input_length, config.horizon)
        return config.segment or max(size for size in range(1, 25) if common % size == 0)

    def count_examples(self, data: ForecastData) -> dict[str, int]:
        return {split: len(data.windows(split)) for split in SPLITS}

    def padding_fraction(self, data: ForecastData) -> float:
        del data  # all windows have the same length
        return 0.0

    @property
    def _is_autoregressive(self):
        return self.config.model == "deepar"

    @property
    def _has_counts(self):
        return self._is_autoregressive and self.config.distribution == "negative_binomial"

    def build(self, data: ForecastData) -> Any:
        from tfpar import models, train

        config, panel = self.config, data.panel
        shared: dict[str, Any] = dict(
            input_length=config.input_length,
            horizon=config.horizon,
            targets=data.targets,
            past=panel.past,
            known=data.known,
            mean=data.scaling.mean,
            deviation=data.scaling.deviation,
            has_indicators=data.has_indicators,
            scaling=config.scaling,
            quantiles=LEVELS if config.output == "quantiles" else (),
            cell=config.cell,
            units=config.units,
            dropout=config.dropout,
            seed=config.seed,
        )
        if self._is_autoregressive:
            season = self._season(data)
            season = season if season <= config.input_length else 1
            both = models.deep_ar(**shared, distribution=config.distribution, season=season, samples=config.samples)
            network, forecaster = both
            self._forecaster = train.Model(forecaster.input, forecaster.output, name="time_series")
        else:
            network = models.forecaster(config.model, segment=self.segment, **shared)
        return train.Model(network.input, network.output, name="time_series")

    def make_batches(
        self, data: ForecastData, split: str, shuffle: bool, first_epoch: int = 0, for_training: bool = True
    ) -> Any:
        """Make a `tf.data.Dataset` of (series, values to be forecast, weights).

        For training an autoregressive model gets whole windows, and all steps but the first are to be forecast.
        """
        windows = data.windows(split)
        is_whole = self._is_autoregressive and for_training

        def make_rows(indices, _):
            rows = windows.gather(indices)
            if is_whole:
                return data.encode_whole(rows), rows[:, 1:, : data.targets]
            return data.encode(rows), data.truth(rows)

        columns = len(data.panel.columns) * (2 if data.has_indicators else 1)
        steps = data.input_length + data.horizon
        shapes = ((steps, columns), (steps - 1, data.targets))
        return window_batches(
            windows,
            make_rows,
            shapes if is_whole else ((data.input_steps, columns), (data.horizon, data.targets)),
            batch_size=self.config.batch_size,
            shuffle=shuffle,
            seed=self.config.seed,
            replicas=self._replicas,
            first_epoch=first_epoch,
            at_most=self.config.windows_per_epoch if shuffle else 0,
            passes=self._count_passes(windows) if shuffle else 1,
        )

    def _count_passes(self, windows):
        """Return the passes of an epoch over the windows: several for a small set, for as many updates."""
        config = self.config
        if config.steps or config.is_given("epochs"):
            return 1
        batches = -(-min(len(windows), config.windows_per_epoch) // config.batch_size)
        return max(1, -(-config.least_updates // (config.epochs * batches)))

    def make_loss(self, data: ForecastData) -> Any:
        """Make the loss of training."""
        from tfpar.tasks.time_series.losses import AbsoluteError, LikelihoodLoss, PinballLoss

        mean, deviation = data.scaling.mean[: data.targets], data.scaling.deviation[: data.targets]
        if self._has_counts:
            return LikelihoodLoss(self.config.distribution, [0] * data.targets, [1] * data.targets)
        if self._is_autoregressive:
            return LikelihoodLoss(self.config.distribution, mean, deviation)
        return PinballLoss(deviation, LEVELS) if self.config.output == "quantiles" else AbsoluteError(deviation)

    def fit(self, model: Any, data: ForecastData) -> tuple[dict[str, list[float]], dict[str, float]]:
        config = self.config
        batches = self.make_batches(data, "train", shuffle=True, first_epoch=training.first_epoch(config))
        model.compile(
            training.make_optimizer(config, training.count_steps(config, batches)),
            self.make_loss(data),
            jit_compile=config.xla,
        )
        validation = self.make_batches(data, "validation", shuffle=False) if len(data.windows("validation")) else None
        monitor = "val_loss" if validation is not None else "loss"
        examples = len(batches) * config.batch_size
        return training.fit(config, model, batches, validation, examples=examples, monitor=monitor)

    def evaluate(self, model: Any, data: ForecastData) -> Evaluation:
        from tfpar.models.window_scaling import COUNTS
        from tfpar.tasks.time_series.backtest import run_backtest
        from tfpar.tasks.time_series.intervals import calibrate

        forecaster = self._forecaster if self._is_autoregressive else model

        def predict(inputs):
            return np.asarray(forecaster.predict(inputs, batch_size=self.config.batch_size, verbose=0))

        def predict_intervals(inputs):
            return self._intervals(predict(inputs), inputs).numpy()

        self._intervals = calibrate(predict, data, COUNTS if self._has_counts else self.config.scaling)
        calibrated = predict if self._intervals is None else predict_intervals
        backtest = run_backtest(calibrated, data, season=self._season(data), origins=self.config.backtest_origins)
        results = {
            "task": self.config.task,
            "model": self.config.model,
            "baselines": backtest.baselines,
            "error_by_horizon": backtest.error_by_horizon,
        }
        return Evaluation(backtest.metrics, results, predictions=backtest)

    def _season(self, data):
        return self.config.season or data.panel.grid.season()

    def make_exporter(
        self,
        model: Any,
        data: ForecastData,
        evaluation: Evaluation,
        history: dict[str, list[float]],
        facts: dict[str, Any],
    ) -> Any:
        import keras

        from tfpar.tasks.time_series.forecaster_export import ForecasterExport
        from tfpar.tasks.time_series.panels import reading_of

        windows = data.windows("test")
        backtest = evaluation.predictions
        model = self._forecaster if self._is_autoregressive else model
        output = model.output if self._intervals is None else self._intervals(model.output, model.input)
        return ForecasterExport(
            model=keras.Model(model.input, output, name="time_series"),
            data=data,
            backtest=backtest,
            test_series=data.encode(windows.gather(backtest.origins)),
            test_labels=np.zeros(len(backtest.origins), np.int32),
            calibration=self.make_batches(data, "train", shuffle=True, for_training=False),
            history=history,
            facts=facts,
            form=self.config.form,
            target=self.config.target,
            reading=reading_of(self.config),
        )

    def describe_model(self) -> str:
        config = self.config
        network = {
            "segrnn": f"SegRNN: {config.cell_title} of {config.units} units over segments of {self.segment} steps",
            "seq2seq": f"An encoder and a decoder, {config.cell_title} of {config.units} units, with attention",
            "direct": f"{config.cell_title} of {config.units} units and one dense layer for all steps",
            "deepar": f"DeepAR: {config.cell_title} of {config.units} units, {config.distribution}, "
            f"{config.samples} sample paths",
        }[config.model]
        output = "quantiles" if config.output == "quantiles" else "one value, with intervals from validation residuals"
        return f"{network}; forecasts {config.horizon} steps from {config.input_length}: {output}."
