"""Training on time series: classification, forecasting or anomaly detection."""

import dataclasses
import importlib
from collections.abc import Iterator
from typing import Any, ClassVar

from tfpar.errors import UserError
from tfpar.tasks.base import Task
from tfpar.tasks.config import setting, settings_of
from tfpar.tasks.table_files import TableFiles
from tfpar.tasks.time_series.labeled import LABEL_KINDS

SUBTASKS = {
    "classify": ("classification", "SeriesClassification"),
    "forecast": ("forecasting", "SeriesForecasting"),
    "anomaly": ("anomaly_detection", "AnomalyDetection"),
}
MODELS = {
    "classify": ("lstm_fcn", "recurrent", "conv_recurrent"),
    "forecast": ("segrnn", "seq2seq", "direct", "deepar"),
    "anomaly": ("autoencoder", "residual"),
}
OUTPUTS = ("point", "quantiles")
DISTRIBUTIONS = ("student_t", "gaussian", "negative_binomial")
_ALL_MODELS = tuple(dict.fromkeys(model for models in MODELS.values() for model in models))

_FORECAST = dict(batch_size=256, learning_rate=1e-3, epochs=15, units=256, dropout=0.5, patience=5, ema=0.0)
_STREAMED: dict[str, dict[str, Any]] = {
    "classify": {"model": "recurrent", "bidirectional": False},
    "anomaly": {"model": "residual"},
}
_ANOMALY = dict(batch_size=64, learning_rate=2e-3, steps=1500, units=32, dropout=0.0, horizon=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TimeSeriesConfig(TableFiles):
    """Settings of `TimeSeries`."""

    DEFAULTS: ClassVar = dict(batch_size=16, learning_rate=2e-3)
    BY_TASK: ClassVar[dict[str, dict[str, Any]]] = {
        "classify": dict(dataset="japanese_vowels", export_dir="exports/series_classification", model="lstm_fcn"),
        "forecast": dict(dataset="airline_passengers", export_dir="exports/series_forecast", model="segrnn"),
        "anomaly": dict(dataset="ucr_internal_bleeding", export_dir="exports/series_anomaly", model="autoencoder"),
    }
    BY_DATASET: ClassVar[dict[str, dict[str, Any]]] = {
        "airline_passengers": dict(
            input_length=36, horizon=12, split="96,24,24", scaling="window", units=64, batch_size=16
        ),
        "arrow_head": dict(units=128, mixup=0.5, time_warp=0.25, differences=True, kernel_sizes="20,11,5"),
        "daphnet": dict(input_length=64),
        "ecg_diff_count": dict(input_length=64, split="8000,2000,10000"),
        "italy_power_demand": dict(mixup=0.5, jitter=0.25),
        "ucr_internal_bleeding": dict(input_length=64, split="1000,200,6301"),
    }
    BY_MODEL: ClassVar[dict[str, dict[str, Any]]] = {
        # XLA's convolutions on a CPU are slower than oneDNN's; its recurrences are faster.
        "lstm_fcn": dict(steps=1500, xla=False, dropout=0.8, units=8, weight_decay=0.01, width=128),
        "recurrent": dict(steps=1500, dropout=0.3),
        "conv_recurrent": dict(steps=1500, xla=False, dropout=0.3),
        "segrnn": {"cell": "gru", **_FORECAST},
        "seq2seq": dict(_FORECAST, units=64, dropout=0.2),
        "direct": dict(_FORECAST, units=64, dropout=0.2),
        "deepar": dict(_FORECAST, units=64, dropout=0.1, batch_size=64, scaling="window", output="quantiles"),
        "autoencoder": dict(_ANOMALY),
        "residual": dict(_ANOMALY),
    }
    SMOKE: ClassVar = dict(
        steps=2,
        units=8,
        width=8,
        batch_size=8,
        input_length=24,
        horizon=12,
        split="",
        scaling="global",
        backtest_origins=1,
    )

    task: str = setting("classify", "What is done with the series.", choices=tuple(SUBTASKS))
    model: str = setting(
        "lstm_fcn",
        "Kind of network. " + "; ".join(f"{task}: {', '.join(models)}" for task, models in MODELS.items()) + ".",
        choices=_ALL_MODELS,
    )
    time_column: str = setting("", "csv:, tsv: the column of times.")
    target_columns: tuple[str, ...] = setting(("all",), "csv:, tsv: the columns of values, or all.")
    id_column: str = setting("", "csv:, tsv: rows that are equal here belong to one series; empty: no such column.")
    label_column: str = setting("", "csv:, tsv: the labels' column, by name, or by number in a file without a header.")
    label_kind: str = setting(
        "classes", "classify: one class, several classes separated by ';', or a number.", choices=LABEL_KINDS
    )
    time_format: str = setting("", "csv:, tsv: format of times, such as %d/%m/%Y; empty: ISO 8601, or numbers.")
    past_columns: tuple[str, ...] = setting((), "csv:, tsv: covariates that are known up to now.")
    known_columns: tuple[str, ...] = setting((), "csv:, tsv: covariates that are known ahead, such as prices.")
    static_columns: tuple[str, ...] = setting((), "csv:, tsv: features of a series, equal in all of its rows.")
    calendar: bool = setting(False, "forecast: add hour, weekday and day of the year, from the times.")
    input_length: int = setting(96, "forecast, anomaly: steps of a window.", 1)
    horizon: int = setting(96, "forecast: steps to be forecast.", 1)
    split: str = setting(
        "", "forecast, anomaly: steps, or fractions, for training, validation and test, as in 0.7,0.1,0.2."
    )
    split_by: str = setting(
        "time", "forecast: cut each series in time, or deal out series.", choices=("time", "series")
    )
    scaling: str = setting(
        "global",
        "forecast: by the training steps of all series, or also by each window, or by each series.",
        choices=("global", "window", "series"),
    )
    output: str = setting(
        "point", "forecast: one value with intervals from validation residuals, or quantiles.", choices=OUTPUTS
    )
    distribution: str = setting(
        "student_t", "deepar: of each step; negative_binomial is for counts.", choices=DISTRIBUTIONS
    )
    samples: int = setting(100, "deepar: sample paths of a forecast.", 10)
    segment: int = setting(0, "segrnn: steps of a segment; 0: the largest common divisor up to 24.", 0)
    season: int = setting(0, "Steps of a season, for the baselines; 0: by the step between times.", 0)
    least_updates: int = setting(600, "forecast: updates at least; an epoch passes several times over a small set.", 1)
    windows_per_epoch: int = setting(100_000, "forecast, anomaly: windows of an epoch at most, drawn at random.", 1)
    backtest_origins: int = setting(0, "forecast: origins of exponential smoothing; 0: a few.", 0)
    smoothing: int = setting(16, "anomaly: steps over which scores are averaged.", 1)
    streaming: bool = setting(
        False, "anomaly residual, classify recurrent: export a signature that takes one step at a time."
    )
    false_alarm_rate: float = setting(0.01, "anomaly: of normal steps, by which the threshold is set.", 1e-6, 0.5)
    mixup: float = setting(0.0, "classify: beta parameter, of mixing a series with another of its class; 0: none.", 0)
    time_warp: float = setting(0.0, "classify: deviation of the logarithm of a series' speed; 0: none.", 0, 1)
    jitter: float = setting(0.0, "classify: noise in units of the changes from step to step; 0: none.", 0)
    differences: bool = setting(False, "classify: read the change of each channel from step to step, too.")
    kernel_sizes: str = setting("8,5,3", "lstm_fcn: steps that each of the three convolutions sees.")
    width: int = setting(64, "Channels of the first convolution.", 1)
    units: int = setting(64, "Units of each recurrent layer and direction.", 1)
    layers: int = setting(1, "Stacked recurrent layers.", 1)
    bidirectional: bool = setting(True, "classify: read in both directions.")

    def dependent_defaults(self) -> dict[str, Any]:
        of_task = dict(self.BY_TASK[self.task])
        if self.streaming:
            of_task |= _STREAMED.get(self.task, {})
        model = self.model if self.is_given("model") else of_task["model"]
        dataset = self.dataset if self.is_given("dataset") else of_task["dataset"]
        of_model, of_dataset = self.BY_MODEL.get(model, {}), self.BY_DATASET.get(dataset, {})
        one_limit = {"steps": 0} if self.is_given("epochs") else {}
        return {**of_task, **of_model, **of_dataset, **self.micro_defaults(), **one_limit}

    def notes(self) -> Iterator[str]:
        yield from super().notes()
        for name in self.given():
            prefix = settings_of(type(self))[name].help.partition(": ")[0]  # "forecast, anomaly" or "csv:, tsv"
            owners = {word.removesuffix(":") for word in prefix.split(", ")}
            if owners <= {*SUBTASKS, *_ALL_MODELS} and not owners & {self.task, self.model}:
                yield f"--{name} has no effect with --task {self.task} --model {self.model}"
            if owners <= {"csv", "tsv"} and self.dataset.partition(":")[0] not in owners:
                yield f"--{name} has no effect with --dataset {self.dataset}"

    def parse_kernel_sizes(self) -> tuple[int, ...]:
        """Return the steps that each convolution of "lstm_fcn" sees.

        Raises:
            UserError: they are not three positive integers.
        """
        words = self.kernel_sizes.split(",")
        if len(words) != 3 or not all(word.strip().isdecimal() and int(word) for word in words):
            raise UserError(f"--kernel_sizes must be three positive integers, such as 8,5,3; got {self.kernel_sizes}")
        return tuple(map(int, words))

    def check(self) -> None:
        self.parse_kernel_sizes()
        if self.model not in MODELS[self.task]:
            raise UserError(
                f"--model must be one of {', '.join(MODELS[self.task])} for --task {self.task}; got {self.model}"
            )
        if self.model == "deepar" and self.output != "quantiles":
            raise UserError(f"--output must be quantiles for --model deepar, which samples; got {self.output}")
        is_count = self.model == "deepar" and self.distribution == "negative_binomial"
        if is_count and self.is_given("scaling") and self.scaling != "window":
            raise UserError(f"--scaling must be window for --distribution negative_binomial; got {self.scaling}")
        if self.model in ("residual", "deepar") and self.input_length < 2:
            raise UserError(
                f"--input_length must be at least 2 for --model {self.model}, which estimates a step from those "
                f"before; got {self.input_length}"
            )
        can_stream = self.model == "residual" or (self.model == "recurrent" and not self.bidirectional)
        if self.streaming and not can_stream:
            got = "--bidirectional" if self.model == "recurrent" else f"--model {self.model}"
            raise UserError(
                "--streaming needs --task anomaly --model residual, or --task classify --model recurrent "
                f"--nobidirectional; got {got}"
            )


class TimeSeries(Task[TimeSeriesConfig]):
    """Classification, forecasting or anomaly detection: an instance of the subclass for `config.task`."""

    name = "time_series"
    config_class = TimeSeriesConfig
    example_input = "series.csv"

    def __new__(cls, config: TimeSeriesConfig) -> "TimeSeries":
        if cls is not TimeSeries or not isinstance(config, TimeSeriesConfig):
            return super().__new__(cls)
        module, name = SUBTASKS[config.task]
        return super().__new__(getattr(importlib.import_module(f"tfpar.tasks.time_series.{module}"), name))
