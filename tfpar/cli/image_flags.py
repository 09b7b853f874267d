"""What the recipes for images share: flags of data, augmentation and network, and what follows from them."""

import sys

from absl import flags

from tfpar.cli import recipe
from tfpar.cli.recipe import log
from tfpar.errors import UserError

FLAGS = flags.FLAGS

# What is defined here belongs to the recipe that asks for it: its --help lists these flags, too.
flags.disclaim_key_flags()

AUGMENTATIONS = ("affine", "elastic", "flip", "light", "noise", "cutout")
SPLITS = ("train", "validation", "test")


def define(*, augment: str, **defaults) -> None:
    """Defines the flags.

    Args:
        augment: default of `--augment`.
        **defaults: default of any other flag, by its name.
    """
    _define_data(defaults)
    _define_augmentation(augment, defaults)
    _define_network(defaults)


def _define_data(defaults):
    flags.DEFINE_integer(
        "image_size", defaults.get("image_size", 0), "Pixels of the longer side; 0: as they are, or 64 if they differ."
    )
    flags.DEFINE_bool("validation_split", False, "Cut a validation split from training, where there is none.")


def _define_augmentation(augment, defaults):
    flags.DEFINE_list("augment", augment.split(","), f"Some of {', '.join(AUGMENTATIONS)}; empty: none.")
    flags.DEFINE_float("rotation_degrees", defaults.get("rotation_degrees", 10.0), "affine: at most.", 0, 180)
    flags.DEFINE_float("shift", defaults.get("shift", 0.1), "affine: at most, as a share of height and width.", 0, 1)
    flags.DEFINE_float("zoom", defaults.get("zoom", 0.1), "affine: at most, as a share of the size.", 0, 0.9)
    flags.DEFINE_float("stretch", defaults.get("stretch", 0.1), "affine: of height and of width apart.", 0, 0.9)
    flags.DEFINE_float("shear", defaults.get("shear", 0.2), "affine: at most.", 0, 2)
    flags.DEFINE_float("bend", defaults.get("bend", 0.025), "elastic: deviation, as a share of the size.", 0, 1)
    flags.DEFINE_float("brightness", defaults.get("brightness", 0.2), "light: at most, of the full range.", 0, 1)
    flags.DEFINE_float("contrast", defaults.get("contrast", 0.3), "light: at most.", 0, 1)
    flags.DEFINE_float("noise", defaults.get("noise", 0.05), "noise: deviation, of the full range.", 0, 1)
    flags.DEFINE_float("cutout", defaults.get("cutout", 0.3), "cutout: side of the square, of the image's.", 0, 1)
    flags.register_validator(
        "augment",
        lambda names: all(name in AUGMENTATIONS for name in names if name),
        message=f"must list some of {', '.join(AUGMENTATIONS)}",
    )


def _define_network(defaults):
    flags.DEFINE_enum("model", "cnn", ["cnn", "row_lstm", "cnn_lstm"], "Convolutions, a recurrent network, or both.")
    flags.DEFINE_integer("width", defaults.get("width", 32), "Channels of the first convolution.", 1)
    flags.DEFINE_integer("stages", defaults.get("stages", 2), "Of two convolutions, and a halving.", 1)
    flags.DEFINE_integer("units", defaults.get("units", 128), "Units of each recurrent layer and direction.", 1)
    flags.DEFINE_integer("layers", defaults.get("layers", 1), "Stacked recurrent layers.", 1)
    flags.DEFINE_bool("bidirectional", True, "Read the rows from both ends.")


def load(**smoke):
    """Loads the data set that the flags name, or generates one for --smoke; `smoke` describes that.

    Raises:
        UserError: it cannot be had; --patience without a validation split.
    """
    from tfpar import data

    if FLAGS.target == "micro":
        raise UserError(
            "--target micro: this recipe writes no such files; give its model to tfpar export --target micro"
        )
    if FLAGS.smoke:
        images = data.generated_image_classification(seed=FLAGS.seed, **smoke)
    else:
        images = data.load_images(
            FLAGS.dataset, image_size=FLAGS.image_size, cut_validation=FLAGS.validation_split or FLAGS.patience > 0
        )
    for reason, count in images.skipped.items():
        log(f"skipped {count}: {reason}")
    if min(images.image_shape[:2]) < 2**FLAGS.stages and FLAGS.model != "row_lstm":
        height, width, _ = images.image_shape
        raise UserError(f"--stages {FLAGS.stages} halve {height} x {width} pixels too often; lower it, or use row_lstm")
    log(f"{images.name}: {counts(images)}; {' x '.join(map(str, images.image_shape))}; {images.notice}")
    return images


def counts(images) -> str:
    """How many images each split has, in words."""
    return ", ".join(f"{count:,} {split}" for split, count in sizes(images).items() if count)


def sizes(images) -> dict[str, int]:
    """How many images each split has."""
    return {split: len(getattr(images, split)) for split in SPLITS}


def batches(split, training: bool = False, first_epoch: int = 0):
    """Batches of a split; those for training are shuffled and augmented."""
    import tensorflow as tf

    from tfpar import data

    return data.image_batches(
        split,
        batch_size=FLAGS.batch_size,
        shuffle=training,
        seed=FLAGS.seed,
        replicas=tf.distribute.get_strategy().num_replicas_in_sync,
        first_epoch=first_epoch,
        augment=_augmentation(split.images.shape[1:]) if training else (),
    )


def _augmentation(shape):
    from tfpar import data

    makers = {
        "affine": lambda: data.affine(
            FLAGS.rotation_degrees, FLAGS.shift, FLAGS.zoom, FLAGS.stretch, FLAGS.shear, fill="nearest"
        ),
        "elastic": lambda: data.elastic(FLAGS.bend * max(shape[:2])),
        "flip": data.flip,
        "light": lambda: data.light(FLAGS.brightness, FLAGS.contrast),
        "noise": lambda: data.noise(FLAGS.noise),
        "cutout": lambda: data.cutout(FLAGS.cutout),
    }
    return [makers[name]() for name in FLAGS.augment if name]


def encoder(images) -> dict:
    """Arguments of `tfpar.models.ImageEncoder`."""
    return dict(
        image_shape=images.image_shape,
        **normalisation(images),
        width=FLAGS.width,
        stages=FLAGS.stages,
        cell=FLAGS.cell,
        units=FLAGS.units,
        recurrent_layers=FLAGS.layers,
        bidirectional=FLAGS.bidirectional,
        seed=FLAGS.seed,
    )


def normalisation(images) -> dict[str, float]:
    """Mean and standard deviation of the training images' pixels."""
    pixels = images.train.images
    return {"mean": float(pixels.mean()), "deviation": max(1.0, float(pixels.std()))}


def network() -> str:
    """The network that the flags describe, in words."""
    convolutions = f"{2 * FLAGS.stages} convolutions, {FLAGS.width} channels in the first"
    direction = "bidirectional " if FLAGS.bidirectional else ""
    recurrent = f"{FLAGS.layers} {direction}{FLAGS.cell.upper()} of {FLAGS.units} units over the rows"
    return {"cnn": convolutions, "row_lstm": recurrent, "cnn_lstm": f"{convolutions}, then {recurrent}"}[FLAGS.model]


def lanes(model) -> int:
    """Lanes of a batch. oneDNN spreads a convolution over all cores by itself."""
    from tfpar import cluster

    return cluster.cpu_lanes(model.distribute_strategy, FLAGS.batch_size) if FLAGS.model == "row_lstm" else 1


def fit(model, images, loss, monitor: str = "val_loss"):
    """Compiles and trains a model as the flags say; returns what `recipe.fit` does."""
    import keras

    training = batches(images.train, training=True, first_epoch=recipe.first_epoch())
    model.compile(
        recipe.optimizer(recipe.training_steps(training)),
        loss,
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=FLAGS.xla,
    )
    model.lanes = lanes(model)
    validation = batches(images.validation) if len(images.validation) else None
    return recipe.fit(model, training, validation, examples=len(images.train), monitor=monitor)


def exported(images, test, history) -> dict:
    """Arguments of the exports of all networks for images.

    Args:
        images: the data.
        test: the split that files are measured on.
        history: of training.
    """
    return dict(
        calibration=batches(images.train),
        normalisation=normalisation(images),
        test_images=test.images,
        test_labels=test.labels,
        history=history,
        form=FLAGS.form,
        target=FLAGS.target,
    )


def facts(name: str, summary: str, images, result) -> dict:
    """What card and manifest say of a run; `result` is that of `Run.report`."""
    from tfpar import export

    return {
        "name": name,
        "summary": summary[0].upper() + summary[1:],
        "data": f"{images.name}: {counts(images)}.",
        "split": images.split_rule,
        "notice": images.notice,
        "command": " ".join(["python", *sys.argv]),
        "metrics": result["metrics"],
        "train_seconds": result["train_seconds"],
        "versions": export.versions(),
    }
