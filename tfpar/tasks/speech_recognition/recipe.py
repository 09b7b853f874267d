"""Training of a speech recognizer, for single words or for strings of digits by CTC."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from tfpar.errors import UserError
from tfpar.tasks import training
from tfpar.tasks.base import SPLITS, Evaluation, Task
from tfpar.tasks.config import FORMATS, setting
from tfpar.tasks.console import log, log_skipped
from tfpar.tasks.file_groups import FileGroups
from tfpar.tasks.packages import JIWER, Package


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeechRecognitionConfig(FileGroups):
    """Settings of `SpeechRecognition`."""

    DEFAULTS: ClassVar = dict(
        dataset="espeak",
        export_dir="exports/speech",
        dropout=0.3,
        learning_rate=3e-3,
        weight_decay=1e-3,
        label_smoothing=0.1,
    )
    SMOKE: ClassVar = dict(epochs=1, steps=2, width=4, units=8, batch_size=8, buckets=1)
    WORD_EPOCHS: ClassVar = {"cnn": 26, "lstm": 26, "cnn_lstm": 16}
    STRING_EPOCHS: ClassVar = 28

    task: str = setting(
        "word", "One word in a clip, or a string of one to six digits, by CTC.", choices=("word", "digits")
    )
    words: str = setting("digits", "Which words of the bundled voices.", choices=("digits", "commands", "all"))
    model: str = setting("cnn_lstm", "Kind of network.", choices=("cnn", "lstm", "cnn_lstm"))
    streaming: bool = setting(False, "lstm, cnn_lstm: take frames one by one.")
    augment: bool = setting(True, "Distort clips and spectrograms in training.")
    width: int = setting(16, "Channels of the first convolutions.", 1)
    buckets: int = setting(4, "digits: lengths that strings are padded to; XLA compiles each once.", 1)
    units: int = setting(64, "Units of each recurrent layer and direction.", 1)

    @property
    def has_strings(self) -> bool:
        return self.task == "digits"

    def dependent_defaults(self) -> dict[str, Any]:
        # XLA's convolutions on a CPU are slower than oneDNN's; its recurrences, and CTC, are faster.
        is_convolution = self.model == "cnn" and not self.has_strings
        epochs = self.STRING_EPOCHS if self.has_strings else self.WORD_EPOCHS[self.model]
        defaults = {"epochs": epochs, "xla": not is_convolution, **self.micro_defaults()}
        if self.streaming and self.target != "micro":
            # In 8 bits the errors of two recurrent layers add up over the steps.
            defaults["export"] = tuple(name for name in FORMATS if name != "int8")
        return defaults

    def check(self) -> None:
        got = f"got --model {self.model} --task {self.task}"
        if self.streaming and (self.model == "cnn" or self.task != "word"):
            raise UserError(
                f"--streaming needs --model lstm or cnn_lstm and --task word; {got}: the others see what is still to "
                "come"
            )
        if self.target == "micro" and (self.model != "lstm" or self.task != "word"):
            raise UserError(f"--target micro needs --model lstm and --task word; {got}")


class SpeechRecognition(Task[SpeechRecognitionConfig]):
    """Recognition of words or of strings of digits; `data` is a `SpeechData`."""

    name = "speech"
    config_class = SpeechRecognitionConfig
    example_input = "clip.wav"

    def packages(self) -> tuple[Package, ...]:
        return (JIWER,) if self.config.has_strings else ()

    def load(self, replicas: int) -> Any:
        from tfpar.tasks.speech_recognition.load import generate_speech, load_speech

        config = self.config
        if config.smoke:
            speech = generate_speech(seed=config.seed, task=config.task)
        else:
            speech = load_speech(config.dataset, task=config.task, words=config.words, group=config.group)
        log_skipped(speech.skipped, "clip(s)")
        if speech.clipped:
            log(f"{speech.clipped} clip(s) are clipped; they are used")
        log(f"{speech.name}: {self.describe_counts(speech)}; {speech.notice}")
        log(f"splits: {speech.split_rule}")
        return speech

    def count_examples(self, data: Any) -> dict[str, int]:
        return {split: len(getattr(data, split)) for split in SPLITS}

    def padding_fraction(self, data: Any) -> float:
        """Return the padding before clips are played faster or slower."""
        from tfpar import data as batching

        lengths = self._row_lengths(data)
        fraction = batching.padding_fraction(lengths, self._boundaries(data), self.config.batch_size)
        return 1 - float(data.train.lengths.sum() / (lengths.sum() / (1 - fraction)))

    def _row_lengths(self, speech):
        from tfpar.tasks.speech_recognition.batches import count_row_samples

        return count_row_samples(speech.train, self.config.augment)

    def _boundaries(self, speech):
        """Return the lengths, in samples, that strings are padded to; all words fill a row."""
        from tfpar.data import bucket_boundaries

        if not self.config.has_strings:
            return (speech.samples,)
        lengths, multiple = self._row_lengths(speech), speech.rate_hz // 10
        return bucket_boundaries([*lengths, speech.samples], self.config.buckets, multiple, self.config.batch_size)

    def build(self, data: Any) -> Any:
        """Build the recognizer; that of strings takes rows of any length."""
        from tfpar import train

        recognizer = self._build_network(data, None if self.config.has_strings else data.samples)
        return train.Model(recognizer.inputs, recognizer.outputs[0], name="speech")

    def _build_network(self, speech, samples):
        from tfpar.tasks.speech_recognition.network import speech_recognizer

        config = self.config
        return speech_recognizer(
            samples=samples,
            num_classes=len(speech.class_names),
            rate_hz=speech.rate_hz,
            model=config.model,
            cell=config.cell,
            strings=config.has_strings,
            streaming=config.streaming,
            augment=config.augment,
            width=config.width,
            units=config.units,
            dropout=config.dropout,
            seed=config.seed,
        )

    def make_batches(self, speech: Any, split: str, first_epoch: int = 0) -> Any:
        """Make a `tf.data.Dataset` of (audio, labels, weights) for model and loss."""
        from tfpar.tasks.speech_recognition.augment import make_distortions
        from tfpar.tasks.speech_recognition.batches import speech_batches

        config = self.config
        distort = split == "train" and config.augment
        raw = speech_batches(
            getattr(speech, split),
            batch_size=config.batch_size,
            seed=config.seed,
            shuffle=split == "train",
            distortions=make_distortions(speech.rate_hz, config.has_strings) if distort else None,
            boundaries=self._boundaries(speech),
            first_epoch=first_epoch,
            **({"crop": 0.0} if config.has_strings else {}),
        )
        shift = 1 if config.has_strings else 0  # class 0 of CTC is the blank; it pads strings
        return raw.map(lambda audio, labels, weights: (self._as_input(audio, speech), labels + shift, weights))

    def _as_input(self, audio, speech):
        """Return audio (batch, samples) as the network's input: for streaming, cut into frames."""
        import tensorflow as tf

        from tfpar.tasks.speech_recognition.network import stream_frame_samples

        if not self.config.streaming:
            return audio
        frame = stream_frame_samples(self.config.model, speech.rate_hz)
        return tf.reshape(audio, (-1, speech.samples // frame, frame))

    def fit(self, model: Any, data: Any) -> tuple[dict[str, list[float]], dict[str, float]]:
        config = self.config
        batches = self.make_batches(data, "train", training.first_epoch(config))
        model.compile(
            training.make_optimizer(config, training.count_steps(config, batches)),
            self._make_loss(),
            weighted_metrics=[] if config.has_strings else ["accuracy"],
            jit_compile=config.xla,
        )
        validation = self.make_batches(data, "validation")
        return training.fit(config, model, batches, validation, examples=len(data.train))

    def _make_loss(self):
        from tfpar import train

        if self.config.has_strings:
            return train.CTCLoss()
        return train.SmoothedCrossentropy(label_smoothing=self.config.label_smoothing)

    def evaluate(self, model: Any, data: Any) -> Evaluation:
        config = self.config
        results = {"model": config.model, "task": config.task, "streaming": config.streaming}
        batches = self.make_batches(data, "test")
        if config.has_strings:
            return Evaluation(self._measure_strings(model, data, batches), results)
        return Evaluation(training.evaluate_classifier(model, batches), results)

    def _measure_strings(self, model, speech, batches):
        from tfpar.tasks.speech_recognition.transcripts import decode_transcript, measure_string_errors, spell_labels

        loss = model.evaluate(batches, verbose=0, return_dict=True)["loss"]
        logits = model.predict(self._test_audio(speech), batch_size=self.config.batch_size, verbose=0)
        transcripts = [decode_transcript(row, speech.class_names) for row in logits]
        return {
            **measure_string_errors(spell_labels(speech.test.labels, speech.class_names), transcripts),
            "loss": loss,
        }

    def _test_audio(self, speech):
        return np.asarray(self._as_input(speech.test.center(), speech))

    def make_exporter(
        self, model: Any, data: Any, evaluation: Evaluation, history: dict[str, list[float]], facts: dict[str, Any]
    ) -> Any:
        import keras

        from tfpar.tasks.speech_recognition.export import SpeechExport

        recognizer = self._build_network(data, data.samples)
        recognizer.set_weights(model.get_weights())
        probabilities = keras.layers.Softmax(name="probabilities", dtype="float32")(recognizer.output)
        return SpeechExport(
            model=keras.Model(recognizer.input, probabilities, name="speech"),
            class_names=data.class_names,
            rate_hz=data.rate_hz,
            test_audio=self._test_audio(data),
            test_labels=data.test.labels,
            calibration=self.make_batches(data, "train"),
            history=history,
            streaming=self.config.streaming,
            facts=facts,
            form=self.config.form,
            target=self.config.target,
        )

    def describe_model(self) -> str:
        config = self.config
        units = f"{config.cell_title} of {config.units} units"
        network = {
            "cnn": f"convolutions, {config.width} channels at first",
            "lstm": f"{units}, " + ("two, forward" if config.streaming else "both ways"),
            "cnn_lstm": (
                f"causal convolutions below {units}, forward"
                if config.streaming
                else f"convolutions below {units}, both ways"
            ),
        }[config.model]
        output = "a string of digits, by CTC" if config.has_strings else "one word"
        return f"Log-mel spectrogram, then {network}; outputs {output}."
