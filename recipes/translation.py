"""Translation of sentences, by recurrent networks with attention; leaves encoder and decoder as one TFLite file.

    python recipes/translation.py                      # English to Spanish, Tatoeba
    python recipes/translation.py --dataset tsv:mine.tsv --source_column de --target_column fr
    tfpar launch --workers 2 -- python recipes/translation.py
    python recipes/translation.py --smoke              # two steps on generated data

Needs: pip install '.[recipes]'. The last line on stdout is one JSON object with all results.
"""

import dataclasses

from absl import flags

from tfpar.cli import recipe
from tfpar.cli.extras import SACREBLEU, TOKENIZERS
from tfpar.cli.flags import define_common, define_table_files
from tfpar.cli.recipe import log
from tfpar.cli.run import run_recipe
from tfpar.tasks import translation

FLAGS = flags.FLAGS

define_common(
    dataset="tatoeba_spanish",
    cells=("lstm", "gru"),
    export_dir="exports/translation",
    export=("saved_model", "float32", "float16", "dynamic"),
    batch_size=64,
    epochs=4,
    learning_rate=1e-2,
    dropout=0.1,
    label_smoothing=0.1,
    ema=0.998,
)
flags.DEFINE_string("source_column", "source", "csv:, tsv: the column to translate from, by name or number.")
flags.DEFINE_string("target_column", "target", "csv:, tsv: the column to translate to, by name or number.")
flags.DEFINE_string("split_column", "split", "csv:, tsv: a column of train, validation, test, if there is one.")
define_table_files()
flags.DEFINE_integer("units", 384, "Units of each layer; of the encoder's, half in each direction.", 8)
flags.DEFINE_integer("embedding_size", 256, "Size of the token embeddings.", 1)
flags.DEFINE_integer("encoder_layers", 1, "Stacked layers of the encoder.", 1)
flags.DEFINE_integer("decoder_layers", 1, "Stacked layers of the decoder; attention is behind the first.", 1)
flags.DEFINE_enum("attention", "luong", ["luong", "bahdanau", "multi_head"], "How the decoder looks at the source.")
flags.DEFINE_bool("tied", True, "One matrix for source, target and output tokens.")
flags.DEFINE_bool("layer_norm", False, "Normalise the outputs of each layer.")
flags.DEFINE_bool("input_feeding", False, "Tell each step where the one before has looked; slower to train.")
flags.DEFINE_integer("vocabulary_size", 4000, "Subwords of both languages together, at most.", 300)
flags.DEFINE_integer("max_tokens", 64, "Longer sentences are cut.", 2, 500)
flags.DEFINE_integer("buckets", 20, "Shapes that pairs are padded to; XLA compiles each once.", 1)
flags.DEFINE_integer("beam_size", 5, "Hypotheses that decoding keeps.", 1)
flags.DEFINE_float("length_penalty", 0.6, "Exponent of what a translation's length is worth.", 0)
flags.DEFINE_float("coverage_penalty", 0.0, "Weight of source tokens that were not attended to.", 0)
flags.DEFINE_integer("file_sentences", 200, "Test sentences that each exported file translates, to be measured.", 1)

flags.register_validator("units", lambda units: units % 8 == 0, message="must be a multiple of 8")

SMOKE = dict(epochs=1, steps=2, units=16, embedding_size=8, vocabulary_size=300, batch_size=32, buckets=1, beam_size=2)
TOKENS_PER_PAIR = 16  # a batch has as many tokens a side as so many pairs of this length


@dataclasses.dataclass(frozen=True)
class Encoded:
    """The data set as token ids, and what it takes to batch it."""

    data: object
    tokenizer: object
    sources: dict
    targets: dict
    boundaries: tuple
    replicas: int

    @property
    def tokens_per_batch(self):
        return TOKENS_PER_PAIR * FLAGS.batch_size

    def batches(self, split, first_epoch=0):

        return translation.translation_batches(
            self.sources[split],
            self.targets[split],
            tokens_per_batch=self.tokens_per_batch,
            # What is seen once an epoch may be padded more; each shape is one more program.
            boundaries=self.boundaries if split == "train" else self.boundaries[::-5][::-1],
            shuffle=split == "train",
            seed=FLAGS.seed,
            replicas=self.replicas,
            first_epoch=first_epoch,
        )

    def padding_fraction(self):

        lengths = [[len(ids) for ids in side["train"]] for side in (self.sources, self.targets)]
        return translation.translation_padding_fraction(*lengths, self.boundaries, self.tokens_per_batch, self.replicas)


def load(replicas):
    """Reads the data set and turns its sentences into token ids."""

    if FLAGS.smoke:
        pairs = translation.generated_translation(seed=FLAGS.seed)
    else:
        pairs = translation.load_translation(
            FLAGS.dataset,
            source_column=FLAGS.source_column,
            target_column=FLAGS.target_column,
            split_column=FLAGS.split_column,
            encoding=FLAGS.encoding,
            delimiter=FLAGS.delimiter,
        )
    for reason, rows in pairs.skipped.items():
        log(f"skipped {rows} row(s): {reason}")
    texts = [*pairs.train.sources, *pairs.train.targets]
    tokenizer = translation.SubwordTokenizer.train(texts, vocabulary_size=FLAGS.vocabulary_size)
    splits = {split: getattr(pairs, split) for split in ("train", "validation", "test")}
    sources = {split: tokenizer.encode(of.sources, FLAGS.max_tokens) for split, of in splits.items()}
    targets = {split: tokenizer.encode(of.targets, FLAGS.max_tokens - 1) for split, of in splits.items()}
    lengths = [[len(ids) for split in splits for ids in side[split]] for side in (sources, targets)]
    boundaries = translation.translation_boundaries(*lengths, max_buckets=FLAGS.buckets)
    return Encoded(pairs, tokenizer, sources, targets, boundaries, replicas)


def fit(models, encoded):
    """Trains; returns the trained model, the history and what was measured on the way."""
    from tfpar import train

    model = train.Model(models.model.inputs, models.model.outputs[0], name="translation")
    batches = encoded.batches("train", recipe.first_epoch())
    model.compile(
        recipe.optimizer(recipe.training_steps(batches)),
        train.TokenCrossentropy(label_smoothing=FLAGS.label_smoothing),
        jit_compile=FLAGS.xla,
    )
    history, measured = recipe.fit(model, batches, encoded.batches("validation"), examples=len(encoded.data.train))
    tokens = sum(len(ids) + 1 for ids in encoded.targets["train"])
    per_second = measured["examples_per_second"] * tokens / len(encoded.data.train)
    return model, history, {**measured, "target_tokens_per_second": per_second}


def translate(models, encoded, ids, beam_size):
    """The best translation of each sequence of source ids."""
    import numpy as np

    from tfpar import data
    from tfpar.models import Decoder

    decoder = Decoder(
        models,
        begin_id=data.BEGIN_ID,
        end_id=data.END_ID,
        beam_size=beam_size,
        max_length=FLAGS.max_tokens,
        length_penalty=FLAGS.length_penalty,
        coverage_penalty=FLAGS.coverage_penalty,
        jit_compile=FLAGS.xla,
    )
    translations = [None] * len(ids)
    for rows, padded in data.padded_batches(ids, batch_size=64):
        tokens, _ = decoder(padded)
        for row, best in zip(rows, np.asarray(tokens)[:, 0], strict=False):
            translations[row] = encoded.tokenizer.decode(best)
    return translations


def scores(translations, references):
    """BLEU and chrF with their signatures, and BLEU by length of the reference."""
    import sacrebleu

    bleu, chrf = sacrebleu.BLEU(), sacrebleu.CHRF()
    found = {
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
    return found, {"bleu": str(bleu.get_signature()), "chrf": str(chrf.get_signature()), "by_length": by_length}


def export(models, encoded, history, result, greedy):
    """Leaves encoder and decoder's step."""
    import numpy as np

    import tfpar
    from tfpar import data

    rows = np.linspace(0, len(greedy) - 1, min(len(greedy), FLAGS.file_sentences)).astype(int)
    references = [encoded.data.test.targets[row] for row in rows]
    return tfpar.tasks.translation.TranslatorExport(
        encoder=models.encoder,
        decoder_step=models.decoder_step,
        tokenizer=encoded.tokenizer,
        search={
            "begin_id": data.BEGIN_ID,
            "end_id": data.END_ID,
            "beam_size": FLAGS.beam_size,
            "max_length": FLAGS.max_tokens,
            "length_penalty": FLAGS.length_penalty,
            "coverage_penalty": FLAGS.coverage_penalty,
        },
        calibration=(encoded.sources["train"][:64], encoded.targets["train"][:64]),
        sources=[encoded.data.test.sources[row] for row in rows],
        references=references,
        answers=[greedy[row] for row in rows],
        score=lambda translations: scores(translations, references)[0],
        history=history,
        facts={
            **recipe.facts("translation", summary(), encoded.data, counts(encoded), result),
            "scoring": result["scoring"],
        },
        form=FLAGS.form,
        target=FLAGS.target,
    ).write(FLAGS.export_dir, recipe.formats(), gate=not FLAGS.smoke)


def summary():
    return (
        f"{FLAGS.encoder_layers} bidirectional {FLAGS.cell.upper()} layer(s) read, {FLAGS.decoder_layers} of "
        f"{FLAGS.units} units write, with {FLAGS.attention.replace('_', '-')} attention; "
        f"{FLAGS.vocabulary_size:,} subwords."
    )


def counts(encoded):
    return ", ".join(f"{len(ids):,} {split}" for split, ids in encoded.sources.items())


def choose_defaults():
    """Set the defaults that depend on other flags."""
    if FLAGS.smoke:
        recipe.use_smoke_settings(**SMOKE)


def main():
    run = recipe.start(TOKENIZERS, SACREBLEU)
    from tfpar import models

    encoded = load(run.replicas)
    log(f"{encoded.data.name}: {counts(encoded)}; shapes {encoded.boundaries}; {encoded.data.notice}")
    with run.scope():
        built = models.sequence_to_sequence(
            vocabulary_size=encoded.tokenizer.vocabulary_size,
            cell=FLAGS.cell,
            units=FLAGS.units,
            embedding_size=FLAGS.embedding_size,
            encoder_layers=FLAGS.encoder_layers,
            decoder_layers=FLAGS.decoder_layers,
            attention=FLAGS.attention,
            tied=FLAGS.tied,
            layer_norm=FLAGS.layer_norm,
            input_feeding=FLAGS.input_feeding,
            dropout=FLAGS.dropout,
            seed=FLAGS.seed,
        )
        model, history, measured = fit(built, encoded)
    compilations = run.compilations()
    test, references = encoded.sources["test"], encoded.data.test.targets
    log(f"translating {len(test):,} test sentences")
    greedy = translate(built, encoded, test, 1)
    metrics, scoring = scores(translate(built, encoded, test, FLAGS.beam_size), references)
    metrics["bleu_greedy"] = scores(greedy, references)[0]["bleu"]
    result = run.report(
        "translation",
        model,
        examples={split: len(ids) for split, ids in encoded.sources.items()},
        metrics=metrics,
        measured=measured,
        padding_fraction=encoded.padding_fraction(),
    )
    result = {**result, "compilations": compilations, "shapes": len(encoded.boundaries), "scoring": scoring}
    exports = export(built, encoded, history, result, greedy) if recipe.formats() else []
    return {**result, "exports": exports}


if __name__ == "__main__":
    run_recipe(main, choose_defaults)
