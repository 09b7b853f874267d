"""Faces: who of the known people is this, or do two pictures show one person? Leaves a SavedModel and TFLite files.

    python recipes/faces.py                        # people that training never saw: equal error rate
    python recipes/faces.py --task closed          # known people: accuracy
    python recipes/faces.py --model row_lstm       # read row by row
    python recipes/faces.py --dataset folder:photos
    python recipes/faces.py --smoke                # two steps on generated data

Needs: pip install '.[recipes]'. The last line on stdout is one JSON object with all results.
"""

from absl import flags

from tfpar.cli import image_facts, image_flags, image_recipe, recipe
from tfpar.cli.extras import PILLOW
from tfpar.cli.flags import define_common
from tfpar.cli.recipe import log
from tfpar.cli.run import run_recipe
from tfpar.errors import UserError
from tfpar.tasks import face_recognition

FLAGS = flags.FLAGS

define_common(
    dataset="orl_faces",
    cells=("lstm", "gru", "rnn"),
    export_dir="exports/faces",
    batch_size=32,
    dropout=0.5,
    label_smoothing=0.1,
    weight_decay=0.02,
)
# A face is told by its proportions: it is not stretched, and hardly sheared or bent.
image_flags.define(
    augment="affine,elastic,flip,light,noise,cutout",
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
flags.DEFINE_enum("task", "open", ["open", "closed"], "Compare people never seen, or recognise known ones.")
flags.DEFINE_integer("embedding_size", 64, "Numbers that a person of the training is told by.", 1)
flags.DEFINE_float("scale", 24.0, "Of the cosines, in the loss.", 0.1)
flags.DEFINE_float("angular_margin", 0.0, "ArcFace: the true person must win by so many radians.", 0, 1.5)
flags.DEFINE_float("cosine_margin", 0.4, "CosFace: the true person must win by so much of the cosine.", 0, 0.99)

# XLA's convolutions on a CPU are slower than oneDNN's.
BY_MODEL = {
    "cnn": dict(epochs=200, xla=False),
    "cnn_lstm": dict(epochs=200, xla=False),
    "row_lstm": dict(epochs=200, xla=True),
}
SMOKE = dict(epochs=1, steps=2, width=4, units=8, embedding_size=8, batch_size=8, stages=2)

LIMITS = (
    "Trained and tested on few people ({people} in training): the figures say how it does on pictures taken like "
    "these, and no more. In the bundled set, 40 people around one British laboratory, most of them men, before a dark "
    "background, age, sex and skin colour are not balanced and not recorded: error rates for groups of people cannot "
    "be told, and must be expected to differ. For research; not for deciding anything about anybody. {threshold}"
)
THRESHOLD = (
    "The threshold is where both errors were equal on the test pairs themselves; set it anew on pictures of your own, "
    "by what each error costs."
)


def load():
    """Loads the faces; with --task open, whole people are dealt out."""

    if FLAGS.task == "open" and (FLAGS.validation_split or FLAGS.patience):
        raise UserError("--task open has no validation split: leave out --validation_split and --patience")
    images = image_recipe.load(classes=8)
    if FLAGS.task == "open":
        images = face_recognition.split_classes(images)
    log(f"splits: {images.split_rule}")
    return images


def build(images):
    """Builds the embedder, with a direction for each person behind it."""
    from tfpar import train

    embedder = face_recognition.face_embedder(
        FLAGS.model,
        embedding_size=FLAGS.embedding_size,
        dropout_rate=FLAGS.dropout,
        **image_recipe.encoder(images),
    )
    people = int(images.train.labels.max()) + 1
    cosines = face_recognition.CosineLogits(people, seed=FLAGS.seed, dtype="float32", name="cosines")(embedder.output)
    return embedder, train.Model(embedder.input, cosines, name="faces")


def fit(model, images):

    loss = face_recognition.MarginCrossentropy(
        FLAGS.scale, FLAGS.angular_margin, FLAGS.cosine_margin, label_smoothing=FLAGS.label_smoothing
    )
    return image_recipe.fit(model, images, loss)


def closed_metrics(classifier, images):
    """Accuracy on other pictures of the people of the training."""

    return image_recipe.scores(classifier, face_recognition.MarginCrossentropy(FLAGS.scale), images.test)


def for_strangers(embedder, images):
    """The embedder without its head, centred on the training, and beside Gabor wavelets."""
    import numpy as np

    center = embeddings(face_recognition.without_projection_head(embedder), images.train.images).mean(axis=0)
    learnt = face_recognition.without_projection_head(embedder, center)
    features = directions(face_recognition.gabor_embedder(images.image_shape), images.train.images)
    whitening = face_recognition.within_class_whitening(
        np.concatenate(features), np.tile(images.train.labels, len(features))
    )
    return face_recognition.joined_embedder(face_recognition.gabor_embedder(images.image_shape, *whitening), learnt)


def for_known_people(embedder, images):
    """A classifier by what such an embedder says of each person's pictures."""

    embedder = for_strangers(embedder, images)
    return face_recognition.nearest_mean_classifier(
        embedder, embeddings(embedder, images.train.images), images.train.labels
    )


def open_metrics(embedder, images):
    """The equal error rate over all pairs of pictures of the test, and the threshold there."""

    genuine, impostor = face_recognition.pair_cosines(embeddings(embedder, images.test.images), images.test.labels)
    rate, threshold = face_recognition.equal_error_rate(genuine, impostor)
    log(f"{len(genuine)} genuine and {len(impostor)} impostor pairs")
    return {"eer": rate, "threshold": threshold}


def embeddings(embedder, images):
    """Of each picture, averaged with its mirror image's: float (pictures, size)."""

    return face_recognition.averaged(*directions(embedder, images))


def directions(embedder, images):
    """What an embedder says of pictures, and of their mirror images: float (pictures, size) each."""
    from tfpar import train

    model = train.Model(embedder.input, embedder.output)  # it predicts on several workers, too, once it is compiled
    model.compile(jit_compile=FLAGS.xla)
    return [model.predict(given.astype("float32"), verbose=0) for given in (images, images[:, :, ::-1])]


def export(model, images, history, result):
    """Leaves a classifier of the known people, or the embedder and its threshold."""
    import keras

    import tfpar

    arguments = dict(
        **image_recipe.exported(images, images.test, history),
        limits=LIMITS.format(
            people=int(images.train.labels.max()) + 1, threshold=THRESHOLD if FLAGS.task == "open" else ""
        ).strip(),
        facts=image_facts.facts(
            "faces", f"{image_facts.network()}, beside whitened Gabor wavelets; {FLAGS.task} set.", images, result
        ),
    )
    if FLAGS.task == "open":
        alone = keras.Model(model.input, model.output)  # made outside of the strategy: one process exports
        chosen = tfpar.tasks.face_recognition.FaceExport(
            model=alone, threshold=result["metrics"]["threshold"], **arguments
        )
    else:
        scaled = keras.layers.Rescaling(FLAGS.scale, name="scaled")(model.output)
        probabilities = keras.layers.Softmax(name="probabilities", dtype="float32")(scaled)
        chosen = tfpar.tasks.image_classification.ImageClassifierExport(
            model=keras.Model(model.input, probabilities), class_names=images.class_names, **arguments
        )
    return chosen.write(FLAGS.export_dir, recipe.formats(), gate=not FLAGS.smoke)


def choose_defaults():
    """Set the defaults that depend on other flags."""
    recipe.use_unless_given(**BY_MODEL[FLAGS.model])
    if FLAGS.smoke:
        recipe.use_smoke_settings(**SMOKE)


def main():
    if FLAGS.target == "micro":
        raise UserError("--target micro is not for faces: directions need more than 8 bits; use phone or desktop")
    run = recipe.start(PILLOW)
    images = load()
    with run.scope():
        embedder, model = build(images)
        history, measured = fit(model, images)
        if FLAGS.task == "open":
            chosen = for_strangers(embedder, images)
            metrics = open_metrics(chosen, images)
        else:
            chosen = for_known_people(embedder, images)
            metrics = closed_metrics(chosen, images)
    result = run.report(
        "faces",
        model,
        examples=image_facts.sizes(images),
        metrics=metrics,
        measured=measured,
        padding_fraction=image_recipe.padding_fraction(images),
    )
    result |= {"model": FLAGS.model, "task": FLAGS.task}
    exports = export(chosen, images, history, result) if recipe.formats() else []
    return {**result, "exports": exports}


if __name__ == "__main__":
    run_recipe(main, choose_defaults)
