"""Training of a face embedder, for known people or for people that training never shows."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from tfpar.errors import UserError
from tfpar.tasks.base import Evaluation
from tfpar.tasks.config import setting
from tfpar.tasks.console import log
from tfpar.tasks.images import AUGMENTATIONS, ImageConfig, ImageTask

LIMITS = (
    "Trained and tested on few people ({people} in training): the figures say how it does on pictures taken like "
    "these, and no more. In the bundled set, 40 people around one British laboratory, most of them men, before a dark "
    "background, age, sex and skin color are not balanced and not recorded: error rates for groups of people cannot "
    "be told, and must be expected to differ. For research; not for deciding anything about anybody. {threshold}"
)
THRESHOLD = (
    "The threshold is where both errors were equal on the test pairs themselves; set it anew on pictures of your own, "
    "by what each error costs."
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FaceRecognitionConfig(ImageConfig):
    """Settings of `FaceRecognition`."""

    # Proportions identify a face: it is not stretched, and hardly sheared or bent.
    DEFAULTS: ClassVar = dict(
        dataset="orl_faces",
        export_dir="exports/faces",
        batch_size=32,
        dropout=0.5,
        label_smoothing=0.1,
        weight_decay=0.02,
        augment=AUGMENTATIONS,
        image_size=40,
        shift=0.1,
        zoom=0.2,
        stretch=0.0,
        shear=0.05,
        bend=0.015,
        noise=0.03,
        width=16,
        stages=3,
        units=64,
    )
    # XLA's convolutions on a CPU are slower than oneDNN's.
    BY_MODEL: ClassVar = {
        "cnn": dict(epochs=200, xla=False),
        "cnn_lstm": dict(epochs=200, xla=False),
        "row_lstm": dict(epochs=200, xla=True),
    }
    SMOKE: ClassVar = dict(epochs=1, steps=2, width=4, units=8, embedding_size=8, batch_size=8, stages=2)

    task: str = setting("open", "Compare people never seen, or recognize known ones.", choices=("open", "closed"))
    embedding_size: int = setting(64, "Size of the embedding of a face.", 1)
    scale: float = setting(24.0, "Of the cosines, in the loss.", 0.1)
    angular_margin: float = setting(0.0, "ArcFace: margin of the true person, in radians.", 0, 1.5)
    cosine_margin: float = setting(0.4, "CosFace: margin of the true person's cosine.", 0, 0.99)

    def check(self) -> None:
        if self.target == "micro":
            raise UserError("--target micro is not for faces: directions need more than 8 bits; use phone or desktop")


class FaceRecognition(ImageTask[FaceRecognitionConfig]):
    """Verification of faces of unseen people ("open"), or classification of known people ("closed")."""

    name = "faces"
    config_class = FaceRecognitionConfig

    def __init__(self, config: FaceRecognitionConfig):
        super().__init__(config)
        self.example_input = "one.png other.png" if config.task == "open" else "image.png"

    def load(self, replicas: int) -> Any:
        from tfpar.tasks.face_recognition.people import split_by_person

        if self.config.task == "open" and (self.config.validation_split or self.config.patience):
            raise UserError("--task open has no validation split: leave out --validation_split and --patience")
        self._replicas = replicas
        images = self.load_images(classes=8)
        if self.config.task == "open":
            images = split_by_person(images)
        log(f"splits: {images.split_rule}")
        return images

    def build(self, data: Any) -> Any:
        """Build the embedder with a direction for each person on top."""
        from tfpar import train
        from tfpar.tasks.face_recognition.cosine_logits import CosineLogits
        from tfpar.tasks.face_recognition.face_embedder import face_embedder

        self._embedder = face_embedder(
            self.config.model,
            embedding_size=self.config.embedding_size,
            dropout_rate=self.config.dropout,
            **self.encoder_arguments(data),
        )
        head = CosineLogits(_count_people(data), seed=self.config.seed, dtype="float32", name="cosines")
        return train.Model(self._embedder.input, head(self._embedder.output), name="faces")

    def make_loss(self) -> Any:
        from tfpar.tasks.face_recognition.margin import MarginCrossentropy

        config = self.config
        return MarginCrossentropy(
            config.scale, config.angular_margin, config.cosine_margin, label_smoothing=config.label_smoothing
        )

    def evaluate(self, model: Any, data: Any) -> Evaluation:
        from tfpar.tasks.face_recognition.joined_embedder import nearest_mean_classifier
        from tfpar.tasks.face_recognition.margin import MarginCrossentropy

        results = {"model": self.config.model, "task": self.config.task}
        embedder = self._join_gabor_features(data)
        if self.config.task == "open":
            return Evaluation(self._measure_verification(embedder, data.test), results, embedder)
        means = self._embed(embedder, data.train.images)
        classifier = nearest_mean_classifier(embedder, means, data.train.labels)
        metrics = self.evaluate_logits(classifier, MarginCrossentropy(self.config.scale), data.test)
        return Evaluation(metrics, results, classifier)

    def _join_gabor_features(self, images):
        """Concatenate the embedder's centered penultimate features with whitened Gabor-wavelet magnitudes.

        The training set has too few people to learn features that generalize to others.
        """
        from tfpar.tasks.face_recognition.face_embedder import without_projection_head
        from tfpar.tasks.face_recognition.gabor_embedder import gabor_embedder, within_class_whitening
        from tfpar.tasks.face_recognition.joined_embedder import joined_embedder

        pixels, labels = images.train.images, images.train.labels
        center = self._embed(without_projection_head(self._embedder), pixels).mean(axis=0)
        learned = without_projection_head(self._embedder, center)
        features = self._embed_with_mirrored(gabor_embedder(images.image_shape), pixels)
        whitening = within_class_whitening(np.concatenate(features), np.tile(labels, len(features)))
        return joined_embedder(gabor_embedder(images.image_shape, *whitening), learned)

    def _measure_verification(self, embedder, split):
        """Return the equal error rate over all pairs of pictures, and the threshold there."""
        from tfpar.tasks.face_recognition.verification import equal_error_rate, pair_cosines

        genuine, impostor = pair_cosines(self._embed(embedder, split.images), split.labels)
        rate, threshold = equal_error_rate(genuine, impostor)
        log(f"{len(genuine)} genuine and {len(impostor)} impostor pairs")
        return {"eer": rate, "threshold": threshold}

    def _embed(self, embedder, images):
        """Return embeddings averaged with those of the mirror images: float (pictures, size)."""
        from tfpar.tasks.face_recognition.predict import average_directions

        return average_directions(*self._embed_with_mirrored(embedder, images))

    def _embed_with_mirrored(self, embedder, images):
        """Return the embeddings of pictures and those of their mirror images: float (pictures, size) each."""
        from tfpar import train

        model = train.Model(embedder.input, embedder.output)
        model.compile(jit_compile=self.config.xla)  # needed to predict on several workers
        return [model.predict(pixels.astype("float32"), verbose=0) for pixels in (images, images[:, :, ::-1])]

    def make_exporter(
        self, model: Any, data: Any, evaluation: Evaluation, history: dict[str, list[float]], facts: dict[str, Any]
    ) -> Any:
        import keras

        from tfpar.tasks.face_recognition.export import FaceExport
        from tfpar.tasks.image_classifier_export import ImageClassifierExport

        is_open, exported = self.config.task == "open", evaluation.model
        limits = LIMITS.format(people=_count_people(data), threshold=THRESHOLD if is_open else "").strip()
        arguments = {**self.export_arguments(data, history, facts), "limits": limits}
        if is_open:
            alone = keras.Model(exported.input, exported.output)  # made outside of the strategy: one process exports
            return FaceExport(model=alone, threshold=float(evaluation.metrics["threshold"]), **arguments)
        scaled = keras.layers.Rescaling(self.config.scale, name="scaled")(exported.output)
        probabilities = keras.layers.Softmax(name="probabilities", dtype="float32")(scaled)
        classifier = keras.Model(exported.input, probabilities)
        return ImageClassifierExport(model=classifier, class_names=data.class_names, **arguments)

    def describe_model(self) -> str:
        return f"{self.config.describe_network()}, beside whitened Gabor wavelets; {self.config.task} set."


def _count_people(images):
    return int(images.train.labels.max()) + 1
