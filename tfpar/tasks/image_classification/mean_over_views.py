"""A trained image classifier that looks at an image several times."""

import keras
from keras import ops

from tfpar.tasks.image_classification.shifted_views import ShiftedViews


def mean_over_views(classifier: keras.Model) -> keras.Model:
    """Build a network that averages a classifier's probabilities over an image and its four half-pixel shifts.

    Pooling by halves makes the output of a convolutional network depend on the position of an image between pixels; the
    mean depends on it less. The layers are those of the classifier, which is trained on each image once. A prediction
    takes five times as long.

    Args:
        classifier: float32 (batch, height, width, channels) "image" -> float (batch, classes) logits.

    Returns:
        float32 (batch, height, width, channels) "image" -> float32 (batch, classes) "probabilities".

    References:
        Krizhevsky et al. 2012, ImageNet classification with deep convolutional neural networks, section 4.1 (the mean
        over shifted views); Zhang 2019, Making convolutional networks shift-invariant again.
    """
    image = keras.Input(classifier.input.shape[1:], dtype="float32", name="image")
    logits = classifier(ShiftedViews(name="shifted_views")(image))
    by_view = ops.reshape(logits, (ShiftedViews.count, -1, logits.shape[-1]))
    probabilities = ops.mean(ops.softmax(by_view, axis=-1), axis=0)
    return keras.Model(
        image, keras.layers.Identity(name="probabilities", dtype="float32")(probabilities), name="mean_over_views"
    )
