"""Training of a text classifier: recurrent networks and a bag-of-n-grams classifier as one ensemble."""

import dataclasses
from collections.abc import Iterator
from typing import Any, ClassVar

from tfpar.errors import UserError
from tfpar.tasks import training
from tfpar.tasks.base import Evaluation, Task
from tfpar.tasks.config import setting
from tfpar.tasks.console import log, log_skipped
from tfpar.tasks.packages import TOKENIZERS, Package
from tfpar.tasks.table_files import TableFiles


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextClassificationConfig(TableFiles):
    """Settings of `TextClassification`."""

    DEFAULTS: ClassVar = dict(
        dataset="rotten_tomatoes",
        batch_size=512,
        learning_rate=6e-3,
        epochs=6,
        ema=0.98,
        export_dir="exports/sentiment",
    )
    SMOKE: ClassVar = dict(epochs=1, steps=2, units=8, embedding_size=8, min_frequency=1, batch_size=8, buckets=1)

    text_column: str = setting("text", "csv:, tsv: the texts' column, by name or number.")
    label_column: str = setting("label", "csv:, tsv: the labels' column, by name or number.")
    group_column: str = setting("", "csv:, tsv: a column, such as the author; equal rows of it stay in one split.")
    units: int = setting(48, "Units of each recurrent layer and direction.", 1)
    embedding_size: int = setting(64, "Size of the token embeddings.", 1)
    layers: int = setting(1, "Stacked recurrent layers.", 1)
    members: int = setting(1, "Recurrent networks in the ensemble.", 1)
    wide: float = setting(0.67, "Ensemble weight of a linear model of words and bigrams; 0: no such model.", 0, 0.99)
    bidirectional: bool = setting(True, "Read in both directions.")
    pooling: str = setting("max", "How a sequence becomes one vector.", choices=("last", "max", "mean", "attention"))
    input_dropout: float = setting(0.3, "Fraction of embedding features dropped, the same at each step.", 0, 0.99)
    recurrent_dropout: float = setting(0.0, "Fraction of recurrent units dropped, the same at each step.", 0, 0.99)
    token_dropout: float = setting(0.15, "Fraction of tokens replaced by the unknown one.", 0, 0.99)
    token_scores: float = setting(0.5, "Scale of the naive-Bayes log-odds in the initial embedding; 0: none.", 0)
    pretrain: str = setting("none", "What initializes the network.", choices=("none", "autoencoder"))
    pretrain_epochs: int = setting(3, "Epochs of pretraining.", 1)
    vocabulary_size: int = setting(20_000, "At most so many tokens.", 3)
    min_frequency: int = setting(2, "A token occurs so often in the training texts.", 1)
    max_tokens: int = setting(64, "Longer texts are cut.", 1)
    buckets: int = setting(4, "Lengths that sequences are padded to; XLA compiles each once.", 1)

    def dependent_defaults(self) -> dict[str, Any]:
        return {**self.micro_defaults(), "wide": 0.0} if self.target == "micro" else {}

    def notes(self) -> Iterator[str]:
        yield from super().notes()
        if self.target == "micro" and not self.is_given("wide"):
            yield "--target micro: no linear model of words (--wide 0)"

    def check(self) -> None:
        if self.target == "micro" and self.wide:
            raise UserError(f"--wide must be 0 for --target micro, which takes embedded tokens; got {self.wide}")

    def ensemble_weights(self) -> list[float]:
        """Return the weight of each member of the ensemble in its prediction; the linear model is the last."""
        recurrent = [(1 - self.wide) / self.members] * self.members
        return [*recurrent, self.wide] if self.wide else recurrent


class TextClassification(Task[TextClassificationConfig]):
    """Classification of texts; `data` is a `TokenizedTexts`."""

    name = "sentiment"
    config_class = TextClassificationConfig
    example_input = '"a gripping film"'

    def packages(self) -> tuple[Package, ...]:
        return (TOKENIZERS,)

    def load(self, replicas: int) -> Any:
        from tfpar.tasks.text_classification.batches import TokenizedTexts
        from tfpar.tasks.text_classification.tokenizer import Tokenizer

        config = self.config
        texts = self._load_texts()
        log_skipped(texts.skipped, "row(s)")
        log(f"splits: {texts.split_rule}")
        tokenizer = Tokenizer.train(
            texts.train.texts, vocabulary_size=config.vocabulary_size, min_frequency=config.min_frequency
        )
        data = TokenizedTexts.encode(
            texts,
            tokenizer,
            max_tokens=config.max_tokens,
            max_buckets=config.buckets,
            batch_size=config.batch_size,
            seed=config.seed,
            replicas=replicas,
        )
        log(f"{data.name}: {self.describe_counts(data)}; buckets {data.boundaries}; {data.notice}")
        return data

    def _load_texts(self):
        from tfpar.tasks.text_classification.load import load_text_classification
        from tfpar.tasks.text_classification.synthetic import generate_text_classification

        config = self.config
        if config.smoke:
            return generate_text_classification(seed=config.seed)
        return load_text_classification(
            config.dataset,
            text_column=config.text_column,
            label_column=config.label_column,
            split_column=config.split_column,
            group_column=config.group_column,
            encoding=config.encoding,
            delimiter=config.delimiter,
        )

    def count_examples(self, data: Any) -> dict[str, int]:
        return {split: len(tokens) for split, tokens in data.tokens.items()}

    def padding_fraction(self, data: Any) -> float:
        return data.padding_fraction()

    def build(self, data: Any) -> Any:
        from tfpar import models, train
        from tfpar.tasks.text_classification.naive_bayes import compute_log_odds

        config = self.config
        vocabulary_size, num_classes = data.tokenizer.vocabulary_size, len(data.data.class_names)
        scores = compute_log_odds(
            data.tokens["train"], data.labels("train"), vocabulary_size=vocabulary_size, num_classes=num_classes
        )
        classifier = models.text_classifier(
            vocabulary_size=vocabulary_size,
            num_classes=num_classes,
            cell=config.cell,
            units=config.units,
            embedding_size=config.embedding_size,
            bidirectional=config.bidirectional,
            recurrent_layers=config.layers,
            pooling=config.pooling,
            members=config.members,
            dropout=config.dropout,
            input_dropout=config.input_dropout,
            recurrent_dropout=config.recurrent_dropout,
            token_dropout=config.token_dropout,
            token_scores=config.token_scores * scores if config.token_scores else None,
            wide=self._make_linear_model(data) if config.wide else None,
            seed=config.seed,
        )
        log(next(layer.explain() for layer in classifier.layers if hasattr(layer, "explain")))
        if config.pretrain == "autoencoder":
            self._pretrain(classifier, data)
        return train.Model(classifier.inputs, classifier.outputs[0], name="sentiment")

    def _make_linear_model(self, data):
        """Make a linear model of words and bigrams that starts from naive-Bayes log-odds."""
        import numpy as np

        from tfpar.tasks.text_classification.bag_of_ngrams import BagOfNgrams
        from tfpar.tasks.text_classification.naive_bayes import compute_log_odds, find_frequent_bigrams, make_ngram_ids

        vocabulary_size, num_classes = data.tokenizer.vocabulary_size, len(data.data.class_names)
        tokens = data.tokens["train"]
        bigrams = find_frequent_bigrams(tokens, min_frequency=2)
        scores = compute_log_odds(
            make_ngram_ids(tokens, bigrams, vocabulary_size),
            data.labels("train"),
            vocabulary_size=vocabulary_size + len(bigrams),
            num_classes=num_classes,
        )
        if num_classes == 2:
            scores = np.concatenate([-scores, scores], axis=1) / 2
        return BagOfNgrams(
            num_classes,
            vocabulary_size,
            slots=BagOfNgrams.slots_for(bigrams),
            bigrams=bigrams,
            scores=1.5 * scores,
            dropout=0.15,
            seed=self.config.seed,
            dtype="float32",
            name="wide",
        )

    def _pretrain(self, classifier, data):
        """Train a sequence autoencoder on the training texts and initialize the classifier with its weights."""
        import keras

        from tfpar import models, train

        config = self.config
        batches = data.batches("train")
        built = models.sequence_autoencoder(classifier)
        autoencoder = train.Model(built.inputs, built.outputs, name=built.name)
        directions = len(built.outputs)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
        optimizer = self._make_optimizer(len(batches) * config.pretrain_epochs)
        autoencoder.compile(optimizer, [loss] * directions, jit_compile=config.xla)
        log("pretraining a sequence autoencoder")
        copies = batches.map(lambda tokens, labels, weights: (tokens, (tokens,) * directions))
        training.pretrain(config, autoencoder, copies, config.pretrain_epochs)
        models.initialize_from_autoencoder(classifier, autoencoder)

    def _make_optimizer(self, steps):
        # The members share no weights, so each is clipped as if it were alone.
        return training.make_optimizer(self.config, steps, clip_norm=self.config.clip_norm * self.config.members**-0.5)

    def fit(self, model: Any, data: Any) -> tuple[dict[str, list[float]], dict[str, float]]:
        from tfpar.tasks.text_classification.ensemble import EnsembleAccuracy, EnsembleCrossentropy

        config = self.config
        batches = data.batches("train", training.first_epoch(config))
        model.compile(
            self._make_optimizer(training.count_steps(config, batches)),
            EnsembleCrossentropy(label_smoothing=config.label_smoothing),
            weighted_metrics=[EnsembleAccuracy(config.ensemble_weights())],
            jit_compile=config.xla,
        )
        return training.fit(config, model, batches, data.batches("validation"), examples=len(data.labels("train")))

    def evaluate(self, model: Any, data: Any) -> Evaluation:
        return Evaluation(training.evaluate_classifier(model, data.batches("test")))

    def make_exporter(
        self, model: Any, data: Any, evaluation: Evaluation, history: dict[str, list[float]], facts: dict[str, Any]
    ) -> Any:
        import keras

        from tfpar.tasks.text_classification.ensemble import ensemble_probabilities
        from tfpar.tasks.text_classification.export import TextClassifierExport

        probabilities = keras.layers.Lambda(
            lambda logits: ensemble_probabilities(logits, self.config.ensemble_weights()),
            name="probabilities",
            dtype="float32",
        )(model.output)
        return TextClassifierExport(
            model=keras.Model(model.input, probabilities),
            tokenizer=data.tokenizer,
            class_names=data.data.class_names,
            sequence_length=data.boundaries[-1],
            calibration=data.batches("train"),
            test_tokens=data.tokens["test"],
            test_labels=data.labels("test"),
            history=history,
            facts=facts,
            form=self.config.form,
            target=self.config.target,
        )

    def describe_model(self) -> str:
        config = self.config
        direction = "bidirectional " if config.bidirectional else ""
        networks = f"{config.members} {direction}{config.cell_title} of {config.units} units"
        networks += f" with {config.pooling} pooling"
        if not config.wide:
            return f"The mean of the probabilities of {networks}."
        linear = f"a linear model of words and bigrams with the weight {config.wide}"
        return f"The weighted mean of the probabilities of {networks}, and of {linear}."
