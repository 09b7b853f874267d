"""Training of an image classifier: convolutions, a recurrent network over rows, or both."""

import dataclasses
from typing import Any, ClassVar

from tfpar.tasks import training
from tfpar.tasks.base import Evaluation
from tfpar.tasks.config import setting
from tfpar.tasks.console import log
from tfpar.tasks.images import ImageConfig, ImageTask

LIMITS = "It knows images like those that it was trained on, and gives a confident prediction for any other image, too."


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageClassificationConfig(ImageConfig):
    """Settings of `ImageClassification`."""

    DEFAULTS: ClassVar = dict(
        dataset="mnist_5k",
        export_dir="exports/image_classification",
        dropout=0.3,
        label_smoothing=0.05,
        weight_decay=0.01,
    )
    # XLA's convolutions on a CPU are slower than oneDNN's.
    BY_MODEL: ClassVar = {
        "cnn": dict(epochs=50, batch_size=32, zoom=0.0, xla=False, stages=3, width=24, views=True),
        "cnn_lstm": dict(epochs=45, batch_size=32, xla=False, stages=1, width=16, units=64),
        "row_lstm": dict(epochs=120, bend=0.015, xla=True),
    }
    SMOKE: ClassVar = dict(epochs=1, steps=2, width=4, units=8, hidden=8, batch_size=8)

    hidden: int = setting(128, "Units of the layer before the output.", 1)
    pretrain: str = setting("none", "What initializes the network.", choices=("none", "autoencoder"))
    views: bool = setting(False, "Average the prediction over an image and its shifts by half a pixel.")
    pretrain_epochs: int = setting(5, "Epochs of pretraining.", 1)

    def dependent_defaults(self) -> dict[str, Any]:
        micro = {"views": False} if self.target == "micro" else {}  # five times the work
        return super().dependent_defaults() | self.micro_defaults() | micro


class ImageClassification(ImageTask[ImageClassificationConfig]):
    """Classification of images; `data` is a `tfpar.data.images.dataset.ImageData`."""

    name = "image_classification"
    config_class = ImageClassificationConfig
    example_input = "image.png"

    def load(self, replicas: int) -> Any:
        images = super().load(replicas)
        log(f"splits: {images.split_rule}")
        return images

    def build(self, data: Any) -> Any:
        from tfpar import models, train

        classifier = models.image_classifier(
            self.config.model,
            num_classes=len(data.class_names),
            hidden=self.config.hidden,
            dropout_rate=self.config.dropout,
            **self.encoder_arguments(data),
        )
        if self.config.pretrain == "autoencoder":
            self._pretrain(classifier, data)
        return train.Model(classifier.input, classifier.output, name="image_classification")

    def _pretrain(self, classifier, data):
        """Train a denoising autoencoder, which has the classifier's encoder, on the training images."""
        import keras
        import tensorflow as tf

        from tfpar import models, train

        config = self.config
        batches = self.make_batches(data.train, training=True)
        built = models.denoising_autoencoder(classifier)
        autoencoder = train.Model(built.inputs, built.outputs[0], name=built.name)
        autoencoder.compile(
            training.make_optimizer(config, len(batches) * config.pretrain_epochs),
            keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"),
            jit_compile=config.xla,
        )
        log("pretraining a denoising autoencoder")
        copies = batches.map(lambda images, _, weights: (images, tf.reshape(images / 255, [len(images), -1]), weights))
        autoencoder.lanes = training.count_lanes(config, autoencoder)
        training.pretrain(config, autoencoder, copies, config.pretrain_epochs)

    def make_loss(self) -> Any:
        from tfpar import train

        return train.SmoothedCrossentropy(label_smoothing=self.config.label_smoothing)

    def evaluate(self, model: Any, data: Any) -> Evaluation:
        import keras

        predictor = self._make_predictor(model)
        logits = keras.ops.log(keras.ops.maximum(predictor.output, 1e-7))  # log-probabilities are logits
        metrics = self.evaluate_logits(keras.Model(predictor.input, logits), self.make_loss(), data.test)
        return Evaluation(metrics, {"model": self.config.model})

    def _make_predictor(self, classifier):
        """Make the model that outputs probabilities, averaged over views if `views` is set."""
        import keras

        from tfpar.tasks.image_classification.mean_over_views import mean_over_views

        if self.config.views:
            return mean_over_views(classifier)
        probabilities = keras.layers.Softmax(name="probabilities", dtype="float32")(classifier.output)
        return keras.Model(classifier.input, probabilities)

    def make_exporter(
        self, model: Any, data: Any, evaluation: Evaluation, history: dict[str, list[float]], facts: dict[str, Any]
    ) -> Any:
        from tfpar.tasks.image_classifier_export import ImageClassifierExport

        return ImageClassifierExport(
            model=self._make_predictor(model),  # outside of the strategy: one process exports
            class_names=data.class_names,
            limits=LIMITS,
            **self.export_arguments(data, history, facts),
        )

    def describe_model(self) -> str:
        views = "; the mean of its predictions for an image and for its four shifts by half a pixel"
        return f"{self.config.describe_network()}{views if self.config.views else ''}."
