"""Networks on top of embedders: two concatenated, or a classifier of known classes."""

import keras
import numpy as np

from tfpar.tasks.face_recognition.cosine_logits import CosineLogits


def joined_embedder(first: keras.Model, other: keras.Model, weight: float = 0.5) -> keras.Model:
    """Concatenate two embedders of the same images.

    The cosine is the mean of theirs, with weights of 1 and `weight` ** 2.

    Returns:
        float32 (batch, height, width, channels) "image" -> float32 (batch, features of both) "embedding", of length 1.
    """
    image = first.input
    scaled = keras.layers.Rescaling(weight, dtype="float32", name="weighted")(other(image))
    both = keras.layers.Concatenate(dtype="float32", name="joined")([first.output, scaled])
    embedding = keras.layers.UnitNormalization(dtype="float32", name="embedding")(both)
    return keras.Model(image, embedding, name="face_embedder")


def nearest_mean_classifier(embedder: keras.Model, embeddings: np.ndarray, labels: np.ndarray) -> keras.Model:
    """Build a classifier by the mean embedding of each class; the embedder need not be trained on these classes.

    Args:
        embedder: image -> embedding.
        embeddings: float (examples, features), what it says of examples.
        labels: int (examples,), their classes, from 0.

    Returns:
        The same images -> float32 (batch, classes), cosines to the means.

    References:
        Mensink et al. 2013, Distance-based image classification: generalizing to new classes at near-zero cost.
    """
    means = np.stack([embeddings[labels == label].mean(axis=0) for label in range(labels.max() + 1)])
    cosines = CosineLogits(len(means), dtype="float32", name="means")
    classifier = keras.Model(embedder.input, cosines(embedder.output), name="nearest_mean_classifier")
    cosines.set_weights([means.T])
    return classifier
