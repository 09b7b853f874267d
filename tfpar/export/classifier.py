"""What leaves with a text classifier."""

import dataclasses

import numpy as np

from tfpar.export.interpreter import TFLiteModel
from tfpar.export.measured_export import MeasuredExport
from tfpar.export.pictures import draw_confusion_matrix, draw_learning_curve
from tfpar.export.text_predictor import TASK, pad_tokens

_USE = """    tfpar predict . "a text"

`tokenizer.json` turns text into token ids (0 is padding, at the right), `labels.txt` names the classes. The TFLite
files forget between runs: no variable has to be reset."""

_LIMITS = (
    "It knows the language and the kind of text that it was trained on, and gives a confident answer for any other too."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextClassifierExport(MeasuredExport):
    """What leaves with a text classifier, and what it is measured on.

    Attributes:
        model: int32 (batch, time) "tokens" -> float (batch, classes) "probabilities".
        tokenizer: a `tfpar.data.Tokenizer`.
        class_names: by class.
        sequence_length: tokens of a TFLite file's input; longer texts are cut, shorter ones padded.
        test_tokens: the test set's sequences, each int32 (length,).
    """

    tokenizer: object
    class_names: tuple[str, ...]
    sequence_length: int
    test_tokens: list[np.ndarray]

    def task_facts(self):
        return {"task": TASK, "sequence_length": self.sequence_length}

    def card_words(self):
        return {
            "input": f"Classes: {', '.join(self.class_names)}. Input: at most {self.sequence_length} tokens; longer "
            "texts are cut.",
            "pictures": "![confusion matrix](confusion_matrix.png)",
            "use": _USE,
            "limits": _LIMITS,
        }

    def write_surroundings(self, directory, answers):
        write_labels(directory, self.class_names)
        self.tokenizer.save(directory / "tokenizer.json")
        draw_learning_curve(self.history, directory / "learning_curve.png")
        draw_confusion_matrix(self.test_labels, answers, self.class_names, directory / "confusion_matrix.png")

    def keras_answers(self):
        inputs = np.concatenate([self._padded(tokens) for tokens in self.test_tokens])
        return np.argmax(self.model.predict(inputs, batch_size=256, verbose=0), axis=-1)

    def tflite_answers(self, path):
        model = TFLiteModel(path)
        rows = (model(tokens=self._padded(tokens))["probabilities"] for tokens in self.test_tokens)
        return np.array([int(np.argmax(row)) for row in rows])

    def tflite_options(self):
        return {"sequence_length": self.sequence_length}

    def signatures(self):
        signatures = super().signatures()
        for kind, length in (("saved_model", -1), ("tflite", self.sequence_length)):
            signatures[kind]["serving_default"]["inputs"][0]["shape"][1] = length
        return signatures

    def _padded(self, tokens):
        return pad_tokens(tokens[: self.sequence_length], self.sequence_length)


def write_labels(directory, class_names) -> None:
    """Writes `labels.txt`, a class a line."""
    (directory / "labels.txt").write_text("\n".join(class_names) + "\n", encoding="utf-8")
