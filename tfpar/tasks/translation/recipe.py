"""Training of a translator: a recurrent encoder and decoder with attention."""

import dataclasses
from typing import Any, ClassVar

from tfpar.errors import UserError
from tfpar.tasks import training
from tfpar.tasks.base import Evaluation, Task
from tfpar.tasks.config import FORMATS, cell_setting, setting
from tfpar.tasks.console import log, log_skipped
from tfpar.tasks.packages import SACREBLEU, TOKENIZERS, Package
from tfpar.tasks.table_files import TableFiles


@dataclasses.dataclass(frozen=True, kw_only=True)
class TranslationConfig(TableFiles):
    """Settings of `Translation`."""

    DEFAULTS: ClassVar = dict(
        dataset="tatoeba_spanish",
        export_dir="exports/translation",
        export=tuple(name for name in FORMATS if name != "int8"),
        batch_size=64,
        epochs=4,
        learning_rate=1e-2,
        dropout=0.1,
        label_smoothing=0.1,
        ema=0.998,
    )
    SMOKE: ClassVar = dict(
        epochs=1, steps=2, units=16, embedding_size=8, vocabulary_size=300, batch_size=32, buckets=1, beam_size=2
    )

    cell: str = cell_setting("lstm", "gru", "min_gru", "min_lstm", "rg_lru", "mlstm", "para_gru", "para_lstm")
    source_column: str = setting("source", "csv:, tsv: the column to translate from, by name or number.")
    target_column: str = setting("target", "csv:, tsv: the column to translate to, by name or number.")
    units: int = setting(384, "Units of each layer; of the encoder's, half in each direction.", 8, multiple_of=8)
    embedding_size: int = setting(256, "Size of the token embeddings.", 1)
    encoder_layers: int = setting(1, "Stacked layers of the encoder.", 1)
    decoder_layers: int = setting(1, "Stacked layers of the decoder; attention follows the first.", 1)
    attention: str = setting(
        "luong", "How the decoder attends to the source.", choices=("luong", "bahdanau", "multi_head")
    )
    tied: bool = setting(True, "One matrix for source, target and output tokens.")
    layer_norm: bool = setting(False, "Normalize the outputs of each layer.")
    input_feeding: bool = setting(False, "Feed each step the attention output of the one before; slower to train.")
    vocabulary_size: int = setting(4000, "Subwords of both languages together, at most.", 300)
    max_tokens: int = setting(64, "Longer sentences are cut.", 2, 500)
    buckets: int = setting(20, "Shapes that pairs are padded to; XLA compiles each once.", 1)
    beam_size: int = setting(5, "Hypotheses of the beam search.", 1)
    length_penalty: float = setting(0.6, "Exponent of a translation's length in its score.", 0)
    coverage_penalty: float = setting(0.0, "Weight of source tokens that were not attended to.", 0)
    file_sentences: int = setting(200, "Test sentences that each exported file translates, to be measured.", 1)

    def check(self) -> None:
        if self.input_feeding and self.cell not in ("lstm", "gru"):
            raise UserError(
                f"--cell must be lstm or gru for --input_feeding, which steps a stock cell of Keras; got {self.cell}"
            )

    def search(self) -> dict[str, Any]:
        """Return the arguments of the beam search."""
        from tfpar import data

        return {
            "begin_id": data.BEGIN_ID,
            "end_id": data.END_ID,
            "beam_size": self.beam_size,
            "max_length": self.max_tokens,
            "length_penalty": self.length_penalty,
            "coverage_penalty": self.coverage_penalty,
        }


class Translation(Task[TranslationConfig]):
    """Translation of sentences; `data` is a `TokenizedPairs`."""

    name = "translation"
    config_class = TranslationConfig
    example_input = '"How are you?"'
    evaluates_in_scope = False  # decoding compiles programs of its own

    def packages(self) -> tuple[Package, ...]:
        return (TOKENIZERS, SACREBLEU)

    def load(self, replicas: int) -> Any:
        from tfpar.tasks.translation.subwords import SubwordTokenizer
        from tfpar.tasks.translation.tokenized_pairs import TokenizedPairs

        config = self.config
        pairs = self._load_pairs()
        log_skipped(pairs.skipped, "row(s)")
        texts = [*pairs.train.sources, *pairs.train.targets]
        data = TokenizedPairs.encode(
            pairs,
            SubwordTokenizer.train(texts, vocabulary_size=config.vocabulary_size),
            max_tokens=config.max_tokens,
            max_buckets=config.buckets,
            batch_size=config.batch_size,
            seed=config.seed,
            replicas=replicas,
        )
        log(f"{data.name}: {self.describe_counts(data)}; shapes {data.boundaries}; {data.notice}")
        return data

    def _load_pairs(self):
        from tfpar.tasks.translation.load import load_translation
        from tfpar.tasks.translation.synthetic import generate_translation

        config = self.config
        if config.smoke:
            return generate_translation(seed=config.seed)
        return load_translation(
            config.dataset,
            source_column=config.source_column,
            target_column=config.target_column,
            split_column=config.split_column,
            encoding=config.encoding,
            delimiter=config.delimiter,
        )

    def count_examples(self, data: Any) -> dict[str, int]:
        return {split: len(ids) for split, ids in data.sources.items()}

    def padding_fraction(self, data: Any) -> float:
        return data.padding_fraction()

    def build(self, data: Any) -> Any:
        from tfpar import models, train

        config = self.config
        self._networks = models.sequence_to_sequence(
            vocabulary_size=data.tokenizer.vocabulary_size,
            cell=config.cell,
            units=config.units,
            embedding_size=config.embedding_size,
            encoder_layers=config.encoder_layers,
            decoder_layers=config.decoder_layers,
            attention=config.attention,
            tied=config.tied,
            layer_norm=config.layer_norm,
            input_feeding=config.input_feeding,
            dropout=config.dropout,
            seed=config.seed,
        )
        trained = self._networks.model
        return train.Model(trained.inputs, trained.outputs[0], name="translation")

    def fit(self, model: Any, data: Any) -> tuple[dict[str, list[float]], dict[str, float]]:
        from tfpar import train

        config = self.config
        batches = data.batches("train", training.first_epoch(config))
        model.compile(
            training.make_optimizer(config, training.count_steps(config, batches)),
            train.TokenCrossentropy(label_smoothing=config.label_smoothing),
            jit_compile=config.xla,
        )
        examples = len(data.data.train)
        history, measured = training.fit(config, model, batches, data.batches("validation"), examples=examples)
        tokens = sum(len(ids) + 1 for ids in data.targets["train"])
        per_second = measured["examples_per_second"] * tokens / examples
        return history, {**measured, "target_tokens_per_second": per_second}

    def evaluate(self, model: Any, data: Any) -> Evaluation:
        sources, references = data.sources["test"], data.data.test.targets
        log(f"translating {len(sources):,} test sentences")
        greedy = self._translate(data, sources, beam_size=1)
        metrics, scoring = score_with_signatures(self._translate(data, sources, self.config.beam_size), references)
        metrics["bleu_greedy"] = score_with_signatures(greedy, references)[0]["bleu"]
        return Evaluation(metrics, {"shapes": len(data.boundaries), "scoring": scoring}, predictions=greedy)

    def _translate(self, data, ids, beam_size):
        """Return the best translation of each sequence of source ids."""
        import numpy as np

        from tfpar.data import padded_batches
        from tfpar.models import Decoder

        search = {**self.config.search(), "beam_size": beam_size}
        decoder = Decoder(self._networks, **search, jit_compile=self.config.xla)
        translations = [""] * len(ids)
        for rows, padded in padded_batches(ids, batch_size=64):
            tokens, _ = decoder(padded)
            for row, best in zip(rows, np.asarray(tokens)[:, 0], strict=False):
                translations[row] = data.tokenizer.decode(best)
        return translations

    def make_exporter(
        self, model: Any, data: Any, evaluation: Evaluation, history: dict[str, list[float]], facts: dict[str, Any]
    ) -> Any:
        import numpy as np

        from tfpar.tasks.translation.export import TranslatorExport

        config, greedy = self.config, evaluation.predictions
        rows = np.linspace(0, len(greedy) - 1, min(len(greedy), config.file_sentences)).astype(int)
        references = [data.data.test.targets[row] for row in rows]
        return TranslatorExport(
            encoder=self._networks.encoder,
            decoder_step=self._networks.decoder_step,
            tokenizer=data.tokenizer,
            search=config.search(),
            calibration=(data.sources["train"][:64], data.targets["train"][:64]),
            sources=[data.data.test.sources[row] for row in rows],
            references=references,
            predictions=[greedy[row] for row in rows],
            score=lambda translations: score_with_signatures(translations, references)[0],
            history=history,
            facts={**facts, "scoring": evaluation.results["scoring"]},
            form=config.form,
            target=config.target,
        )

    def describe_model(self) -> str:
        config = self.config
        return (
            f"{config.encoder_layers} bidirectional {config.cell_title} layer(s) read, {config.decoder_layers} of "
            f"{config.units} units write, with {config.attention.replace('_', '-')} attention; "
            f"{config.vocabulary_size:,} subwords."
        )


def score_with_signatures(translations: list[str], references: list[str]) -> tuple[dict[str, float], dict[str, Any]]:
    """Return {"bleu", "chrf"}, and the signatures of both with BLEU by number of words of the reference."""
    import sacrebleu

    bleu, chrf = sacrebleu.BLEU(), sacrebleu.CHRF()
    metrics = {
        "bleu": bleu.corpus_score(translations, [references]).score,
        "chrf": chrf.corpus_score(translations, [references]).score,
    }
    by_length = {}
    for low, high in ((1, 4), (5, 6), (7, 9), (10, 99)):
        rows = [i for i, text in enumerate(references) if low <= len(text.split()) <= high]
        if rows:
            picked = [[side[i] for i in rows] for side in (translations, references)]
            score = sacrebleu.BLEU().corpus_score(picked[0], [picked[1]]).score
            by_length[f"{low}-{high} words"] = {"sentences": len(rows), "bleu": score}
    signatures = {"bleu": str(bleu.get_signature()), "chrf": str(chrf.get_signature())}
    return metrics, {**signatures, "by_length": by_length}
