"""Export of translators: encoder and decoder step in one file, measured by its translations."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from tfpar.errors import RefusedFileError
from tfpar.export.bundle.directory import write_bundle
from tfpar.export.bundle.signature_specs import describe_signature
from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.export.conversion.serving import serving_model
from tfpar.export.conversion.signatures import SequenceSignature
from tfpar.export.conversion.to_saved_model import saved_model_in_bundle
from tfpar.export.conversion.to_tflite import write_signatures
from tfpar.export.formats import FORMATS
from tfpar.export.report.html_report import write_report
from tfpar.export.report.plots import draw_learning_curve
from tfpar.export.report.refusals import (
    SIGNIFICANCE,
    note_larger_files,
    resolve_paths,
    save_weights_if_refused,
    write_or_refuse,
)
from tfpar.tasks.translation.card import write_translator_card
from tfpar.tasks.translation.predict import DECODE_STEP, ENCODE, TASK, Translator
from tfpar.tasks.translation.subwords import SubwordTokenizer

MAX_BLEU_LOSS = {"float32": 0.0, "float16": 0.3, "dynamic": 0.5, "int8": 1.0}
_RANDOMIZATIONS = 200
_STEPS = 6  # of the decoder that calibration looks at, for each sentence


@dataclasses.dataclass(frozen=True)
class TranslatorExport:
    """Export of a translator, measured on its test set.

    Attributes:
        encoder, decoder_step: see `tfpar.models.SequenceToSequence`.
        tokenizer: a `tfpar.tasks.translation.SubwordTokenizer`.
        search: arguments of `beam_search`.
        calibration: token ids of sources and of their translations, int (length,) each.
        sources, references: sentences of the test set that each file translates, and their translations.
        predictions: the Keras model's greedy translations of them.
        score: of translations of `sources`, by name; with "bleu".
        history: of training.
        facts: what the card and the manifest shall say: "name", "data", "split", "notice", "command", "metrics", ...
        form, target: of the TFLite files; see `tflite`.
    """

    encoder: keras.Model
    decoder_step: keras.Model
    tokenizer: SubwordTokenizer
    search: dict
    calibration: tuple[list[np.ndarray], list[np.ndarray]]
    sources: list[str]
    references: list[str]
    predictions: list[str]
    score: Callable[[list[str]], dict[str, float]]
    history: dict[str, list[float]]
    facts: dict
    form: str = "auto"
    target: str = "phone"

    def write(self, directory: Path | str, formats: tuple[str, ...], gate: bool = True) -> list[dict]:
        """Write the export directory.

        Args:
            directory: where; a former export there is replaced.
            formats: "saved_model" and names of `FORMATS`.
            gate: refuse a file that translates worse than Keras. False is for a model that has learned nothing yet.

        Returns:
            One report for each format; see `tflite`. "metrics" are those of greedy translations, "identical" says how
            many of them are the Keras model's. Of a file that was refused, "refused" is the reason; the other files
            are written.

        Raises:
            UserError: the directory cannot be written.
        """
        manifest = {"task": TASK, "search": self.search, **self.facts, "exports": [], "signatures": {}}
        with write_bundle(directory, manifest) as temporary:
            self.tokenizer.save(temporary / "tokenizer.json")
            draw_learning_curve(self.history, temporary / "learning_curve.png")
            for name in formats:
                write = functools.partial(self._write_format, temporary, name, gate, manifest["signatures"])
                manifest["exports"].append(write_or_refuse(name, write, temporary / f"model.{name}.tflite"))
            note_larger_files(manifest["exports"])
            models = {ENCODE: self.encoder, DECODE_STEP: self.decoder_step}
            manifest |= save_weights_if_refused(models, temporary, manifest["exports"])
            write_translator_card(temporary / "card.md", manifest, self._samples())
            write_report(temporary / "report.html", manifest, {}, sorted(temporary.glob("*.png")))
        return resolve_paths(directory, manifest["exports"])

    def _samples(self):
        return list(zip(self.sources, self.predictions, self.references, strict=True))[:10]

    def _write_format(self, directory, name, gate, signatures):
        models = {ENCODE: self.encoder, DECODE_STEP: self.decoder_step}
        if name == "saved_model":
            signatures[name] = sorted(models)
            return saved_model_in_bundle(models, directory)
        path = directory / f"model.{name}.tflite"
        report = write_signatures(self._signatures, path, FORMATS[name], self.form, self.target)
        translator = Translator(path.read_bytes(), self.tokenizer, {**self.search, "beam_size": 1})
        translations = [translator.translate(source)[0].text for source in self.sources]
        metrics = self.score(translations)
        identical = sum(ours == keras for ours, keras in zip(translations, self.predictions, strict=True))
        report |= {"path": path.name, "metrics": metrics, "identical": identical, "sentences": len(self.sources)}
        if gate:
            self._gate(name, report, translations)
        signatures[name] = {signature: describe_signature(TFLiteModel(path, signature)) for signature in models}
        return report

    def _gate(self, name, report, translations):
        bleu, expected = report["metrics"]["bleu"], self.score(self.predictions)["bleu"]
        if expected - bleu > MAX_BLEU_LOSS[name] and self._loss_by_chance(translations) < SIGNIFICANCE:
            raise RefusedFileError(
                f"the {name} file's translations have a BLEU of {bleu:.2f}, the Keras model's {expected:.2f}; at most "
                f"{MAX_BLEU_LOSS[name]:.1f} may be lost. What helps: {FORMATS[name].remedy}; or leave {name} out of "
                "--export",
                {key: report[key] for key in ("bytes", "metrics", "sentences", "max_abs_error")},
            )

    def _loss_by_chance(self, translations) -> float:
        """Return the p-value of the paired randomization test: how often a random swap lowers BLEU as far."""
        generator, pairs = np.random.default_rng(0), list(zip(self.predictions, translations, strict=True))

        def loss(pairs):
            before, after = (self.score(list(side))["bleu"] for side in zip(*pairs, strict=True))
            return before - after

        observed = loss(pairs)
        swaps = (generator.random(len(pairs)) < 0.5 for _ in range(_RANDOMIZATIONS))
        losses = [loss([pair[::-1] if swap else pair for pair, swap in zip(pairs, s, strict=True)]) for s in swaps]
        return float(np.mean([value >= observed for value in losses]))

    @functools.cached_property
    def _signatures(self):
        """Of one sentence of any length, and of any number of hypotheses."""
        sources, targets = map(_pad, self.calibration)
        encoder, decoder_step = serving_model(self.encoder), serving_model(self.decoder_step)
        encoded = encoder.outputs({"source": sources})
        constants = {"source": sources, **{name: encoded.pop(name) for name in ("memory", "keys")}}
        rows, states = [], encoded
        token = np.full((len(sources), 1), self.search["begin_id"], np.int32)
        for t in range(min(_STEPS, targets.shape[1])):
            rows.append({"token": token, **constants, **states})
            output = decoder_step.outputs({name: rows[-1][name] for name in decoder_step.input_names})
            states, token = {name: output[f"new_{name}"] for name in states}, targets[:, t : t + 1]
        steps = {name: np.concatenate([row[name] for row in rows]) for name in decoder_step.input_names}
        return {
            ENCODE: SequenceSignature(encoder, _shapes(self.encoder, 1), {"source": sources}, padding="right"),
            DECODE_STEP: SequenceSignature(decoder_step, _shapes(self.decoder_step, None), steps, padding="right"),
        }


def _shapes(model, batch):
    return {tensor.name: (batch, *tensor.shape[1:]) for tensor in model.inputs}


def _pad(sequences):
    padded = np.zeros((len(sequences), max(map(len, sequences))), np.int32)
    for row, ids in zip(padded, sequences, strict=True):
        row[: len(ids)] = ids
    return padded
