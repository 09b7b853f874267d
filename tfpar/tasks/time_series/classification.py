"""Training of a classifier of series, or of a regressor."""

from typing import Any

import numpy as np

from tfpar.errors import UserError
from tfpar.tasks import training
from tfpar.tasks.base import SPLITS, Evaluation
from tfpar.tasks.console import log
from tfpar.tasks.time_series.augmentation import AugmentedSeries
from tfpar.tasks.time_series.labeled import CLASSES, MULTI_LABEL, NUMBER, LabeledSeries, LabeledSeriesData
from tfpar.tasks.time_series.recipe import TimeSeries
from tfpar.tasks.time_series.scaling import fit_difference_deviation, fit_scaling
from tfpar.tasks.time_series.windows import add_indicators, whole_series, window_batches

METRICS = {CLASSES: "accuracy", MULTI_LABEL: "accuracy", NUMBER: "mae"}


class SeriesClassification(TimeSeries):
    """Classification of series, or regression; `data` is a `LabeledSeriesData`."""

    def load(self, replicas: int) -> LabeledSeriesData:
        self._replicas = replicas
        config = self.config
        if config.xla and replicas > 1 and config.model == "lstm_fcn":
            raise UserError(
                "--xla must be off for --model lstm_fcn on several replicas, whose batch normalization meets in "
                f"the middle of a step; got --xla with {replicas} replicas; use --noxla"
            )
        if config.smoke:
            from tfpar.tasks.time_series.synthetic import generate_labeled_series

            data = generate_labeled_series(seed=config.seed)
        else:
            from tfpar.tasks.time_series.load_labeled import load_labeled_series

            data = load_labeled_series(
                config.dataset,
                label_column=config.label_column,
                label_kind=config.label_kind,
                id_column=config.id_column,
                channels=() if config.target_columns == ("all",) else config.target_columns,
                split_column=config.split_column,
                time_column=config.time_column,
                time_format=config.time_format,
                encoding=config.encoding,
                delimiter=config.delimiter,
            )
        shape = f"{data.steps} steps x {len(data.channels)}"
        masked = "; missing values or steps are masked" if data.has_indicators else ""
        log(f"{data.name}: {self.describe_counts(data)}; {shape}{masked}; {data.notice}")
        log(f"splits: {data.split_rule}")
        return data

    def count_examples(self, data: LabeledSeriesData) -> dict[str, int]:
        return {split: len(getattr(data, split)) for split in SPLITS}

    def padding_fraction(self, data: LabeledSeriesData) -> float:
        return 1 - float(data.train.lengths.mean()) / data.steps

    def build(self, data: LabeledSeriesData) -> Any:
        from tfpar import models, train

        config = self.config
        scaling = fit_scaling(data.train.values)
        num_outputs = len(data.class_names) or 1
        changes = fit_difference_deviation(data.train.values, data.train.offsets) if config.differences else None
        classifier = models.time_series_classifier(
            config.model,
            columns=len(data.channels),
            steps=data.steps,
            num_outputs=num_outputs,
            mean=scaling.mean,
            deviation=scaling.deviation,
            has_indicators=data.has_indicators,
            difference_deviation=changes and np.divide(changes, scaling.deviation).tolist(),
            cell=config.cell,
            units=config.units,
            recurrent_layers=config.layers,
            bidirectional=config.bidirectional,
            pooling="last" if config.streaming else "attention",
            width=config.width,
            kernel_sizes=config.parse_kernel_sizes(),
            dropout=config.dropout,
            seed=config.seed,
        )
        return train.Model(classifier.input, classifier.output, name="time_series")

    def make_batches(
        self,
        data: LabeledSeriesData,
        split: LabeledSeries,
        shuffle: bool,
        first_epoch: int = 0,
        is_augmented: bool = False,
    ) -> Any:
        """Make a `tf.data.Dataset` of (series, targets, weights)."""
        config = self.config
        windows = whole_series(split.values, split.offsets, data.steps)
        variants = AugmentedSeries(split, windows, config.mixup, config.time_warp, config.jitter)
        mean, deviation = self._target_scale(data) if self._is_number else (0, 1)

        def make_rows(indices, batch):
            series = variants.gather(indices, [config.seed, batch]) if is_augmented else windows.gather(indices)
            return add_indicators(series, data.has_indicators), (split.targets[indices] - mean) / deviation

        columns = len(data.channels) * (2 if data.has_indicators else 1)
        return window_batches(
            windows,
            make_rows,
            ((data.steps, columns), split.targets.shape[1:]),
            batch_size=config.batch_size,
            shuffle=shuffle,
            seed=config.seed,
            replicas=self._replicas,
            first_epoch=first_epoch,
            target_dtype="int32" if config.label_kind == CLASSES else "float32",
        )

    @property
    def _is_number(self) -> bool:
        return self.config.label_kind == NUMBER

    @staticmethod
    def _target_scale(data):
        """Return mean and deviation of the training targets of a regressor."""
        targets = data.train.targets
        return float(targets.mean()), float(targets.std()) or 1.0

    def fit(self, model: Any, data: LabeledSeriesData) -> tuple[dict[str, list[float]], dict[str, float]]:
        config = self.config
        is_augmented = bool(config.mixup or config.time_warp or config.jitter)
        batches = self.make_batches(data, data.train, True, training.first_epoch(config), is_augmented)
        loss, metrics = self._make_loss()
        model.compile(
            training.make_optimizer(config, training.count_steps(config, batches)),
            loss,
            weighted_metrics=metrics,
            jit_compile=config.xla,
        )
        validation = self.make_batches(data, data.validation, shuffle=False) if len(data.validation) else None
        return training.fit(config, model, batches, validation, examples=len(data.train))

    def _make_loss(self):
        import keras

        from tfpar import train

        kind = self.config.label_kind
        if kind == CLASSES:
            metric = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
            return train.SmoothedCrossentropy(label_smoothing=self.config.label_smoothing), [metric]
        reduction = "mean_with_sample_weight"
        if kind == MULTI_LABEL:
            loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction=reduction)
            return loss, [keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)]
        return keras.losses.MeanSquaredError(reduction=reduction), []

    def evaluate(self, model: Any, data: LabeledSeriesData) -> Evaluation:
        from tfpar.tasks.time_series.label_scores import score_labels

        self._temperature = self._fit_temperature(model, data)
        predictor = self._finish(self._predict(model, data, data.test), data)
        results = {"task": self.config.task, "model": self.config.model, "temperature": self._temperature}
        scores = score_labels(self.config.label_kind, data.test.targets, predictor, data.class_names)
        metrics = scores.pop("metrics")
        return Evaluation(metrics, results | scores, predictions=predictor)

    def _predict(self, model, data, split):
        inputs = self._inputs(data, split)
        return np.asarray(model.predict(inputs, batch_size=self.config.batch_size, verbose=0), np.float64)

    def _fit_temperature(self, model, data):
        """Return the temperature of the probabilities: 1 without enough validation series."""
        from tfpar.tasks.time_series.temperature import LEAST_EXAMPLES, fit_temperature

        if self.config.label_kind != CLASSES or len(data.validation) < LEAST_EXAMPLES:
            return 1.0
        return fit_temperature(self._predict(model, data, data.validation), data.validation.targets)

    def _inputs(self, data, split):
        windows = whole_series(split.values, split.offsets, data.steps)
        return add_indicators(windows.gather(np.arange(len(windows))), data.has_indicators)

    def _finish(self, outputs, data):
        """Convert the model's outputs to probabilities, or to numbers in the units of the targets."""
        if self._is_number:
            mean, deviation = self._target_scale(data)
            return outputs * deviation + mean
        if self.config.label_kind == MULTI_LABEL:
            return 1 / (1 + np.exp(-outputs))
        outputs = outputs / self._temperature
        exponents = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
        return exponents / exponents.sum(axis=-1, keepdims=True)

    def make_exporter(
        self,
        model: Any,
        data: LabeledSeriesData,
        evaluation: Evaluation,
        history: dict[str, list[float]],
        facts: dict[str, Any],
    ) -> Any:
        from tfpar.tasks.time_series.classifier_export import SeriesClassifierExport

        return SeriesClassifierExport(
            model=self._make_predictor(model, data),
            data=data,
            test_series=self._inputs(data, data.test),
            test_outputs=evaluation.predictions,
            test_labels=data.test.targets,
            streaming=self.config.streaming,
            class_scores=evaluation.results.get("classes", []),
            calibration=self.make_batches(data, data.train, shuffle=False),
            history=history,
            facts=facts,
            form=self.config.form,
            target=self.config.target,
        )

    def _make_predictor(self, model, data):
        """Make the model of probabilities, or of numbers in the units of the targets."""
        import keras

        if self._is_number:
            mean, deviation = self._target_scale(data)
            output = keras.layers.Rescaling(deviation, mean, name="number", dtype="float32")(model.output)
        else:
            activation = "sigmoid" if self.config.label_kind == MULTI_LABEL else "softmax"
            logits = model.output
            if self._temperature != 1:
                logits = keras.layers.Rescaling(1 / self._temperature, dtype="float32", name="temperature")(logits)
            output = keras.layers.Activation(activation, name="probabilities", dtype="float32")(logits)
        return keras.Model(model.input, output, name="time_series")

    def describe_model(self) -> str:
        config = self.config
        cell = f"{config.cell_title} of {config.units} units"
        direction = "bidirectional " if config.bidirectional else ""
        pooling = "whose last output is used" if config.streaming else "with attention pooling"
        recurrent = f"{config.layers} {direction}{cell} {pooling}"
        return {
            "lstm_fcn": f"Three convolutions, {config.width} channels in the first, beside an {cell} over the columns.",
            "recurrent": f"{recurrent}.",
            "conv_recurrent": f"Two convolutions, {config.width} channels in the first, below {recurrent}.",
        }[config.model]
