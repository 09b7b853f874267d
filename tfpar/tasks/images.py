"""Settings and training steps that tasks on images share."""

import dataclasses
from typing import Any, ClassVar, TypeVar

from tfpar.errors import UserError
from tfpar.tasks import training
from tfpar.tasks.base import SPLITS, Task
from tfpar.tasks.config import setting
from tfpar.tasks.console import log, log_skipped
from tfpar.tasks.file_groups import FileGroups
from tfpar.tasks.packages import PILLOW, Package

CLASSIFICATION = "image_classification"  # the name of the task in manifests
AUGMENTATIONS = ("affine", "elastic", "flip", "light", "noise", "cutout")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageConfig(FileGroups):
    """Settings of data, augmentation and network."""

    BY_MODEL: ClassVar[dict[str, dict[str, Any]]] = {}

    image_size: int = setting(0, "Pixels of the longer side; 0: as they are, or 64 if they differ.")
    validation_split: bool = setting(False, "Cut a validation split from training, where there is none.")
    augment: tuple[str, ...] = setting(
        ("affine", "elastic"), f"Some of {', '.join(AUGMENTATIONS)}; empty: none.", choices=AUGMENTATIONS
    )
    rotation_degrees: float = setting(10.0, "affine: at most.", 0, 180)
    shift: float = setting(0.1, "affine: at most, as a fraction of height and width.", 0, 1)
    zoom: float = setting(0.1, "affine: at most, as a fraction of the size.", 0, 0.9)
    stretch: float = setting(0.1, "affine: of height and of width independently.", 0, 0.9)
    shear: float = setting(0.2, "affine: at most.", 0, 2)
    bend: float = setting(0.025, "elastic: deviation, as a fraction of the size.", 0, 1)
    brightness: float = setting(0.2, "light: at most, of the full range.", 0, 1)
    contrast: float = setting(0.3, "light: at most.", 0, 1)
    noise: float = setting(0.05, "noise: deviation, of the full range.", 0, 1)
    cutout: float = setting(0.3, "cutout: side of the square, of the image's.", 0, 1)
    model: str = setting("cnn", "Convolutions, a recurrent network, or both.", choices=("cnn", "row_lstm", "cnn_lstm"))
    width: int = setting(32, "Channels of the first convolution.", 1)
    stages: int = setting(2, "Of two convolutions, and a halving.", 1)
    units: int = setting(128, "Units of each recurrent layer and direction.", 1)
    layers: int = setting(1, "Stacked recurrent layers.", 1)
    bidirectional: bool = setting(True, "Read the rows from both ends.")

    def dependent_defaults(self) -> dict[str, Any]:
        return dict(self.BY_MODEL[self.model])

    def describe_network(self) -> str:
        """Return the kind and size of the network in words."""
        convolutions = f"{2 * self.stages} convolutions, {self.width} channels in the first"
        direction = "bidirectional " if self.bidirectional else ""
        recurrent = f"{self.layers} {direction}{self.cell_title} of {self.units} units over the rows"
        return {"cnn": convolutions, "row_lstm": recurrent, "cnn_lstm": f"{convolutions}, then {recurrent}"}[self.model]


ImageConfigT = TypeVar("ImageConfigT", bound=ImageConfig)


class ImageTask(Task[ImageConfigT]):
    """Base class for tasks on images; `data` is a `tfpar.data.images.dataset.ImageData`."""

    def packages(self) -> tuple[Package, ...]:
        return (PILLOW,)

    def load(self, replicas: int) -> Any:
        self._replicas = replicas
        return self.load_images()

    def load_images(self, **smoke: Any) -> Any:
        """Load the data set, or generate one as `smoke` describes for a smoke run.

        Raises:
            UserError: it is not available, or its images are too small for the stages of the network.
        """
        from tfpar import data

        config = self.config
        if config.smoke:
            images = data.generate_image_classification(seed=config.seed, **smoke)
        else:
            images = data.load_images(
                config.dataset,
                image_size=config.image_size,
                cut_validation=config.validation_split or config.patience > 0,
                group=config.group,
            )
        log_skipped(images.skipped)
        height, width, _ = images.image_shape
        if min(height, width) < 2**config.stages and config.model != "row_lstm":
            raise UserError(
                f"--stages {config.stages} halve {height} x {width} pixels too often; lower it, or use row_lstm"
            )
        shape = " x ".join(map(str, images.image_shape))
        log(f"{images.name}: {self.describe_counts(images)}; {shape}; {images.notice}")
        return images

    def count_examples(self, data: Any) -> dict[str, int]:
        return {split: len(getattr(data, split)) for split in SPLITS}

    def padding_fraction(self, data: Any) -> float:
        rows = len(data.train)
        return 1 - rows / (-(-rows // self.config.batch_size) * self.config.batch_size)

    def make_batches(self, split: Any, training: bool = False, first_epoch: int = 0) -> Any:
        """Make a `tf.data.Dataset` of a split; that for training is shuffled and augmented."""
        from tfpar import data

        return data.image_batches(
            split,
            batch_size=self.config.batch_size,
            shuffle=training,
            seed=self.config.seed,
            replicas=self._replicas,
            first_epoch=first_epoch,
            augment=self._make_augmentation(split.images.shape[1:]) if training else (),
        )

    def _make_augmentation(self, shape):
        from tfpar import data

        config = self.config
        makers = {
            "affine": lambda: data.random_affine(
                config.rotation_degrees, config.shift, config.zoom, config.stretch, config.shear, fill="nearest"
            ),
            "elastic": lambda: data.random_elastic(config.bend * max(shape[:2])),
            "flip": data.random_flip,
            "light": lambda: data.random_brightness_contrast(config.brightness, config.contrast),
            "noise": lambda: data.random_noise(config.noise),
            "cutout": lambda: data.random_cutout(config.cutout),
        }
        return [makers[name]() for name in config.augment]

    def encoder_arguments(self, images: Any) -> dict[str, Any]:
        """Return the arguments of `tfpar.models.ImageEncoder`."""
        config = self.config
        return dict(
            image_shape=images.image_shape,
            **normalization(images),
            width=config.width,
            stages=config.stages,
            cell=config.cell,
            units=config.units,
            recurrent_layers=config.layers,
            bidirectional=config.bidirectional,
            seed=config.seed,
        )

    def make_loss(self) -> Any:
        """Make the loss of training."""
        raise NotImplementedError

    def fit(self, model: Any, data: Any) -> tuple[dict[str, list[float]], dict[str, float]]:
        import keras

        config = self.config
        batches = self.make_batches(data.train, training=True, first_epoch=training.first_epoch(config))
        model.compile(
            training.make_optimizer(config, training.count_steps(config, batches)),
            self.make_loss(),
            weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
            jit_compile=config.xla,
        )
        validation = self.make_batches(data.validation) if len(data.validation) else None
        return training.fit(config, model, batches, validation, examples=len(data.train))

    def evaluate_logits(self, model: Any, loss: Any, split: Any) -> dict[str, float]:
        """Return accuracy and loss of a model with float (batch, classes) logits that was not itself trained."""
        import keras

        from tfpar import train

        measured = train.Model(model.input, model.output)
        accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
        measured.compile(loss=loss, weighted_metrics=[accuracy], jit_compile=self.config.xla)
        return training.evaluate_classifier(measured, self.make_batches(split))

    def export_arguments(self, images: Any, history: dict, facts: dict) -> dict[str, Any]:
        """Return the arguments that the exporters of all networks for images share."""
        summary = facts["summary"]
        return dict(
            calibration=self.make_batches(images.train),
            normalization=normalization(images),
            test_images=images.test.images,
            test_labels=images.test.labels,
            history=history,
            facts={**facts, "summary": summary[0].upper() + summary[1:]},
            form=self.config.form,
            target=self.config.target,
        )


def normalization(images: Any) -> dict[str, float]:
    """Return {"mean", "deviation"} of the training images' pixels; the deviation is at least 1."""
    pixels = images.train.images
    return {"mean": float(pixels.mean()), "deviation": max(1.0, float(pixels.std()))}
