"""Image classification by convolutions or recurrent networks over rows; leaves a SavedModel and TFLite files.

    python recipes/image_classification.py                    # 5,000 digits of MNIST, by convolutions
    python recipes/image_classification.py --model row_lstm   # read row by row
    python recipes/image_classification.py --dataset folder:photos --image_size 64
    python recipes/image_classification.py --smoke            # two steps on generated data

Needs: pip install '.[recipes]'. The last line on stdout is one JSON object with all results.
"""

from absl import flags

from tfpar.cli import image_facts, image_flags, image_recipe, recipe
from tfpar.cli.extras import PILLOW
from tfpar.cli.flags import define_common
from tfpar.cli.recipe import log
from tfpar.cli.run import run_recipe
from tfpar.tasks import image_classification

FLAGS = flags.FLAGS

define_common(
    dataset="mnist_5k",
    cells=("lstm", "gru", "rnn"),
    export_dir="exports/image_classification",
    dropout=0.3,
    label_smoothing=0.05,
    weight_decay=0.01,
)
image_flags.define(augment="affine,elastic")
flags.DEFINE_integer("hidden", 128, "Units of the layer before the output.", 1)
flags.DEFINE_enum("pretrain", "none", ["none", "autoencoder"], "What initialises the network.")
flags.DEFINE_bool("views", False, "Answer with the mean over an image and its shifts by half a pixel.")
flags.DEFINE_integer("pretrain_epochs", 5, "Epochs of pretraining.", 1)

# XLA's convolutions on a CPU are slower than oneDNN's.
BY_MODEL = {
    "cnn": dict(epochs=50, batch_size=32, zoom=0.0, xla=False, stages=3, width=24, views=True),
    "cnn_lstm": dict(epochs=45, batch_size=32, xla=False, stages=1, width=16, units=64),
    "row_lstm": dict(epochs=120, bend=0.015, xla=True),
}
SMOKE = dict(epochs=1, steps=2, width=4, units=8, hidden=8, batch_size=8)


def build(data):
    """Builds the classifier from flags, pretrained if so asked."""
    from tfpar import models, train

    classifier = models.image_classifier(
        FLAGS.model,
        num_classes=len(data.class_names),
        hidden=FLAGS.hidden,
        dropout_rate=FLAGS.dropout,
        **image_recipe.encoder(data),
    )
    if FLAGS.pretrain == "autoencoder":
        pretrain(classifier, data)
    return train.Model(classifier.input, classifier.output, name="image_classification")


def pretrain(classifier, data):
    """Trains a denoising autoencoder on the training images and starts the classifier with its weights."""
    import keras
    import tensorflow as tf

    from tfpar import models, train

    batches = image_recipe.batches(data.train, training=True)
    built = models.denoising_autoencoder(classifier)
    autoencoder = train.Model(built.inputs, built.outputs[0], name=built.name)
    steps = len(batches) * FLAGS.pretrain_epochs
    autoencoder.compile(
        recipe.optimizer(steps),
        keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"),
        jit_compile=FLAGS.xla,
    )
    log("pretraining a denoising autoencoder")
    copies = batches.map(lambda images, _, weights: (images, tf.reshape(images / 255, [len(images), -1]), weights))
    autoencoder.lanes = recipe.lanes(autoencoder)
    limit = {"steps_per_epoch": 2} if FLAGS.smoke else {}
    autoencoder.fit(
        copies,
        epochs=1 if FLAGS.smoke else FLAGS.pretrain_epochs,
        verbose=recipe.progress(),
        callbacks=[recipe.stop_at_divergence()],
        **limit,
    )


def choose_defaults():
    """Set the defaults that depend on other flags."""
    recipe.use_unless_given(**BY_MODEL[FLAGS.model])
    if FLAGS.smoke:
        recipe.use_smoke_settings(**SMOKE)
    if FLAGS.target == "micro":
        recipe.use_micro_settings()
        recipe.use_unless_given(views=False)  # five times the work


def main():
    run = recipe.start(PILLOW)
    data = image_recipe.load()
    log(f"splits: {data.split_rule}")
    with run.scope():
        model = build(data)
        history, measured = fit(model, data)
        metrics = scores(probabilities(model), data.test)
    result = run.report(
        "image_classification",
        model,
        examples=image_facts.sizes(data),
        metrics=metrics,
        measured=measured,
        padding_fraction=image_recipe.padding_fraction(data),
    )
    result["model"] = FLAGS.model
    exports = export(model, data, history, result) if recipe.formats() else []
    return {**result, "exports": exports}


def fit(model, data):
    return image_recipe.fit(model, data, loss())


def loss():
    from tfpar import train

    return train.SmoothedCrossentropy(label_smoothing=FLAGS.label_smoothing)


def probabilities(classifier):
    """The model that answers: in probabilities, of one look at an image or of several."""
    import keras

    if FLAGS.views:
        return image_classification.mean_over_views(classifier)
    answers = keras.layers.Softmax(name="probabilities", dtype="float32")(classifier.output)
    return keras.Model(classifier.input, answers)


def scores(answering, split):
    """Accuracy and loss of probabilities, whose logarithms are logits like any."""
    import keras

    logits = keras.ops.log(keras.ops.maximum(answering.output, 1e-7))
    return image_recipe.scores(keras.Model(answering.input, logits), loss(), split)


def summary():
    looks = "the mean of its answers to an image and to its four shifts by half a pixel"
    return f"{image_facts.network()}{'; ' + looks if FLAGS.views else ''}."


def export(model, data, history, result):
    """Leaves the model, which answers with probabilities."""
    import tfpar

    return tfpar.tasks.image_classification.ImageClassifierExport(
        model=probabilities(model),  # outside of the strategy: one process exports
        class_names=data.class_names,
        limits="It knows images like those that it was trained on, and gives a confident answer for any other too.",
        **image_recipe.exported(data, data.test, history),
        facts=image_facts.facts("image_classification", summary(), data, result),
    ).write(FLAGS.export_dir, recipe.formats(), gate=not FLAGS.smoke)


if __name__ == "__main__":
    run_recipe(main, choose_defaults)
