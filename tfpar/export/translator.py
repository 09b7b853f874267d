"""Leaves a translator: encoder and decoder's step in one file, measured by what they translate together."""

import dataclasses
import functools
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from tfpar.errors import UserError
from tfpar.export.bundle import write_bundle
from tfpar.export.described import described
from tfpar.export.formats import FORMATS
from tfpar.export.interpreter import TFLiteModel
from tfpar.export.pictures import draw_learning_curve
from tfpar.export.signatures import Sequences
from tfpar.export.to_saved_model import named_outputs, saved_model_in_bundle
from tfpar.export.to_tflite import write_signatures
from tfpar.export.translation_predictor import DECODE_STEP, ENCODE, TASK, Translator
from tfpar.export.translator_card import write_translator_card

MAX_BLEU_LOSS = {"float32": 0.0, "float16": 0.3, "dynamic": 0.5, "int8": 1.0}
_STEPS = 6  # of the decoder that calibration looks at, for each sentence


@dataclasses.dataclass(frozen=True)
class TranslatorExport:
    """What leaves with a translator, and what it is measured on.

    Attributes:
        encoder, decoder_step: see `tfpar.models.SequenceToSequence`.
        tokenizer: a `tfpar.data.SubwordTokenizer`.
        search: arguments of `beam_search`.
        calibration: token ids of sources and of their translations, int (length,) each.
        sources, references: sentences of the test set that each file translates, and their translations.
        answers: the Keras model's greedy translations of them.
        score: of translations of `sources`, by name; with "bleu".
        history: of training.
        facts: what the card and the manifest shall say: "name", "data", "split", "notice", "command", "metrics", ...
        form, target: of the TFLite files; see `tflite`.
    """

    encoder: keras.Model
    decoder_step: keras.Model
    tokenizer: object
    search: dict
    calibration: tuple[list[np.ndarray], list[np.ndarray]]
    sources: list[str]
    references: list[str]
    answers: list[str]
    score: Callable[[list[str]], dict[str, float]]
    history: dict[str, list[float]]
    facts: dict
    form: str = "auto"
    target: str = "phone"

    def write(self, directory: Path | str, formats: tuple[str, ...], gate: bool = True) -> list[dict]:
        """Writes the export directory.

        Args:
            directory: where; a former export there is replaced.
            formats: "saved_model" and names of `FORMATS`.
            gate: refuse a file that translates worse than Keras. False is for a model that has not learnt anything yet.

        Returns:
            One report for each format; see `tflite`. "metrics" are those of greedy translations, "identical" says how
            many of them are the Keras model's.

        Raises:
            UserError: the directory cannot be written, or a file strays further than its format may. Nothing is left
                then.
        """
        manifest = {"task": TASK, "search": self.search, **self.facts, "exports": [], "signatures": {}}
        with write_bundle(directory, manifest) as temporary:
            self.tokenizer.save(temporary / "tokenizer.json")
            draw_learning_curve(self.history, temporary / "learning_curve.png")
            for name in formats:
                print(f"exporting {name} ...", file=sys.stderr)
                report, signatures = self._write_format(temporary, name, gate)
                manifest["exports"].append(report)
                manifest["signatures"][name] = signatures
            write_translator_card(temporary / "card.md", manifest, self._samples())
        return [{**report, "path": str(Path(directory) / report["path"])} for report in manifest["exports"]]

    def _samples(self):
        return list(zip(self.sources, self.answers, self.references, strict=True))[:10]

    def _write_format(self, directory, name, gate):
        models = {ENCODE: self.encoder, DECODE_STEP: self.decoder_step}
        if name == "saved_model":
            return saved_model_in_bundle(models, directory), sorted(models)
        path = directory / f"model.{name}.tflite"
        report = write_signatures(self._signatures, path, FORMATS[name], self.form, self.target)
        translator = Translator(path.read_bytes(), self.tokenizer, {**self.search, "beam_size": 1})
        translations = [translator.translate(source)[0].text for source in self.sources]
        metrics = self.score(translations)
        if gate:
            self._gate(name, metrics["bleu"])
        identical = sum(ours == keras for ours, keras in zip(translations, self.answers, strict=True))
        report |= {"path": path.name, "metrics": metrics, "identical": identical, "sentences": len(self.sources)}
        return report, {signature: described(TFLiteModel(path, signature)) for signature in models}

    def _gate(self, name, bleu):
        expected, allowed = self.score(self.answers)["bleu"], MAX_BLEU_LOSS[name]
        if bleu < expected - allowed:
            raise UserError(
                f"the {name} file's translations have a BLEU of {bleu:.2f}, the Keras model's {expected:.2f}; at most "
                f"{allowed:.1f} may be lost. What helps: {FORMATS[name].remedy}; or leave {name} out of --export"
            )

    @functools.cached_property
    def _signatures(self):
        """Of one sentence of any length, and of any number of hypotheses."""
        sources, targets = map(_padded, self.calibration)
        encoded = named_outputs(self.encoder, {"source": sources})
        constants = {"source": sources, **{name: encoded.pop(name) for name in ("memory", "keys")}}
        rows, states = [], encoded
        token = np.full((len(sources), 1), self.search["begin_id"], np.int32)
        for t in range(min(_STEPS, targets.shape[1])):
            rows.append({"token": token, **constants, **states})
            answer = named_outputs(self.decoder_step, {x.name: rows[-1][x.name] for x in self.decoder_step.inputs})
            states, token = {name: answer[f"new_{name}"] for name in states}, targets[:, t : t + 1]
        steps = {x.name: np.concatenate([row[x.name] for row in rows]) for x in self.decoder_step.inputs}
        return {
            ENCODE: Sequences(self.encoder, _shapes(self.encoder, 1), {"source": sources}),
            DECODE_STEP: Sequences(self.decoder_step, _shapes(self.decoder_step, None), steps),
        }


def _shapes(model, batch):
    return {tensor.name: (batch, *tensor.shape[1:]) for tensor in model.inputs}


def _padded(sequences):
    padded = np.zeros((len(sequences), max(map(len, sequences))), np.int32)
    for row, ids in zip(padded, sequences, strict=True):
        row[: len(ids)] = ids
    return padded
