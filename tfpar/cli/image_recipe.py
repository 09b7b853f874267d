"""What the recipes for images do alike, as their flags say: load, batch, train."""

from absl import flags

from tfpar.cli import recipe
from tfpar.cli.image_facts import counts, normalisation
from tfpar.cli.recipe import log
from tfpar.errors import UserError

FLAGS = flags.FLAGS


def load(**smoke):
    """Loads the data set that the flags name, or generates one for --smoke; `smoke` describes that.

    Raises:
        UserError: it cannot be had; --patience without a validation split.
    """
    from tfpar import data

    if FLAGS.smoke:
        images = data.generated_image_classification(seed=FLAGS.seed, **smoke)
    else:
        images = data.load_images(
            FLAGS.dataset,
            image_size=FLAGS.image_size,
            cut_validation=FLAGS.validation_split or FLAGS.patience > 0,
            group=FLAGS.group,
        )
    for reason, count in images.skipped.items():
        log(f"skipped {count}: {reason}")
    if min(images.image_shape[:2]) < 2**FLAGS.stages and FLAGS.model != "row_lstm":
        height, width, _ = images.image_shape
        raise UserError(f"--stages {FLAGS.stages} halve {height} x {width} pixels too often; lower it, or use row_lstm")
    log(f"{images.name}: {counts(images)}; {' x '.join(map(str, images.image_shape))}; {images.notice}")
    return images


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


def padding_fraction(images) -> float:
    """The share of rows in an epoch's batches that hold no image."""
    count = len(images.train)
    return 1 - count / (-(-count // FLAGS.batch_size) * FLAGS.batch_size)


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
    validation = batches(images.validation) if len(images.validation) else None
    return recipe.fit(model, training, validation, examples=len(images.train), monitor=monitor)


def scores(model, loss, split) -> dict[str, float]:
    """Accuracy and loss of a classifier that was not trained as it stands: float (batch, classes) logits."""
    import keras

    from tfpar import train

    measured = train.Model(model.input, model.output)
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    measured.compile(loss=loss, weighted_metrics=[accuracy], jit_compile=FLAGS.xla)
    return recipe.scores(measured, batches(split))


def exported(images, test, history) -> dict:
    """Arguments of the exports of all networks for images.

    Args:
        images: the data.
        test: the split that files are measured on.
        history: of training.
    """
    return dict(
        calibration=batches(images.train),
        normalization=normalisation(images),
        test_images=test.images,
        test_labels=test.labels,
        history=history,
        form=FLAGS.form,
        target=FLAGS.target,
    )
