"""Training of a language model of characters."""

import dataclasses
from typing import Any, ClassVar

from tfpar.errors import UserError
from tfpar.tasks import training
from tfpar.tasks.base import SPLITS, Evaluation, Task
from tfpar.tasks.config import FORMATS, Config, setting
from tfpar.tasks.console import log
from tfpar.tasks.language_modeling.data import LanguageData, load_language_data
from tfpar.tasks.language_modeling.scores import score_loss

LINEAR_CELLS = ("min_gru", "min_lstm", "rg_lru", "mlstm")
_WINDOWS_JOINED = 8  # a window of evaluation is so many times as long as one of training


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanguageModelingConfig(Config):
    """Settings of `LanguageModeling`."""

    DEFAULTS: ClassVar = dict(
        batch_size=32,
        learning_rate=4e-3,
        epochs=10,
        dropout=0.2,
        export_dir="exports/language_model",
        # In 8 bits the errors of a state add up over the characters of a stream.
        export=tuple(name for name in FORMATS if name != "int8"),
    )
    SMOKE: ClassVar = dict(epochs=1, steps=2, units=8, embedding_size=8, window=16, batch_size=8)

    split: str = setting("0.88,0.02,0.1", "Fractions for training, validation and test, by position.")
    encoding: str = setting("utf-8", "The file's encoding, such as cp1252 or utf-16.")
    window: int = setting(100, "Characters of a training window.", 1)
    units: int = setting(256, "Units of each recurrent layer.", 1)
    layers: int = setting(1, "Stacked recurrent layers.", 1)
    embedding_size: int = setting(64, "Size of the character embeddings.", 1)
    vocabulary_size: int = setting(10_000, "At most so many characters; others are the unknown token.", 1)
    min_frequency: int = setting(2, "A character occurs so often in the training text, or is the unknown token.", 1)

    def dependent_defaults(self) -> dict[str, Any]:
        # The gates of one linear layer do not see the past; those of the next one do.
        return {"layers": 3} if self.cell in LINEAR_CELLS else {}

    def check(self) -> None:
        if self.target == "micro":
            raise UserError("--target must be phone or desktop for a language model; got micro")


class LanguageModeling(Task[LanguageModelingConfig]):
    """Prediction of the next character of a text; `data` is a `LanguageData`."""

    name = "language_model"
    config_class = LanguageModelingConfig
    example_input = '"To be"'

    def load(self, replicas: int) -> LanguageData:
        self._replicas = replicas
        config = self.config
        if config.smoke:
            from tfpar.tasks.language_modeling.synthetic import generate_language_data

            data = generate_language_data(seed=config.seed, window=config.window)
        else:
            data = load_language_data(
                config.dataset,
                split=config.split,
                window=config.window,
                max_size=config.vocabulary_size,
                min_frequency=config.min_frequency,
                encoding=config.encoding,
            )
        log(f"{data.name}: {self.describe_counts(data)}; {len(data.vocabulary)} tokens; {data.notice}")
        log(f"splits: {data.split_rule}")
        return data

    def count_examples(self, data: LanguageData) -> dict[str, int]:
        """Return the number of characters by split."""
        return {split: len(getattr(data, split)) for split in SPLITS}

    def padding_fraction(self, data: LanguageData) -> float:
        from tfpar.tasks.language_modeling.batches import count_windows

        windows, size = count_windows(len(data.train), self.config.window, shuffle=True), self.config.batch_size
        return 1 - windows / (-(-windows // size) * size)

    def build(self, data: LanguageData) -> Any:
        from tfpar import models, train

        config = self.config
        network = models.language_model(
            vocabulary_size=len(data.vocabulary),
            cell=config.cell,
            units=config.units,
            layers=config.layers,
            embedding_size=config.embedding_size,
            dropout=config.dropout,
            seed=config.seed,
        )
        log(f"{network.count_params():,} parameters; {network.get_layer('recurrent_0').explain()}")
        return train.Model(network.input, network.output, name="language_model")

    def make_batches(self, data: LanguageData, split: str, first_epoch: int = 0) -> Any:
        """Make a `tf.data.Dataset` of (tokens, next tokens, weights)."""
        from tfpar.tasks.language_modeling.batches import window_batches

        config, is_training = self.config, split == "train"
        return window_batches(
            getattr(data, split),
            window=config.window * (1 if is_training else _WINDOWS_JOINED),
            batch_size=config.batch_size,
            shuffle=is_training,
            seed=config.seed,
            replicas=self._replicas,
            first_epoch=first_epoch,
        )

    def fit(self, model: Any, data: LanguageData) -> tuple[dict[str, list[float]], dict[str, float]]:
        from tfpar import train

        config = self.config
        batches = self.make_batches(data, "train", training.first_epoch(config))
        model.compile(
            training.make_optimizer(config, training.count_steps(config, batches)),
            train.TokenCrossentropy(label_smoothing=config.label_smoothing),
            jit_compile=config.xla,
        )
        validation = self.make_batches(data, "validation") if len(data.validation) else None
        return training.fit(config, model, batches, validation, examples=len(data.train))

    def evaluate(self, model: Any, data: LanguageData) -> Evaluation:
        from tfpar import train

        if self.config.label_smoothing:
            model.compile(loss=train.TokenCrossentropy(), jit_compile=self.config.xla)
        loss = model.evaluate(self.make_batches(data, "test"), verbose=0, return_dict=True)["loss"]
        return Evaluation(score_loss(loss), {"parameters": model.count_params()})

    def make_exporter(
        self, model: Any, data: LanguageData, evaluation: Evaluation, history: dict[str, list[float]], facts: dict
    ) -> Any:
        import keras

        from tfpar.tasks.language_modeling.export import TEST_CHARACTERS, LanguageModelExport

        measured = min(TEST_CHARACTERS, len(data.test) - 1)
        return LanguageModelExport(
            model=keras.Model(model.input, model.output, name="language_model"),
            vocabulary=data.vocabulary,
            test_tokens=data.test[:measured],
            test_labels=data.test[1 : measured + 1],
            calibration=self.make_batches(data, "train").map(lambda tokens, following, weights: tokens),
            history=history,
            facts=facts,
            form=self.config.form,
            target=self.config.target,
        )

    def describe_model(self) -> str:
        config = self.config
        stack = f"{config.layers} {config.cell_title} layer(s) of {config.units} units"
        return f"Character embeddings, {stack}, and a dense layer: the logits of the next character."
