"""Embeddings of Gabor-wavelet magnitudes, whitened by the within-class covariance."""

import keras
import numpy as np

from tfpar.tasks.face_recognition.gabor import GaborMagnitudes

GABOR_HEIGHT = 40  # pixels, of the image that wavelets see


def gabor_embedder(
    image_shape: tuple[int, int, int], center: np.ndarray | float = 0.0, whitening: np.ndarray | None = None
) -> keras.Model:
    """Build an embedder without trained weights: whitened magnitudes of Gabor wavelets.

    With a few dozen people for training it generalizes to other people better than a network does.

    Args:
        image_shape: height, width and channels; larger and smaller images are scaled to `GABOR_HEIGHT`.
        center, whitening: of such embeddings, made without them, over pictures of some people: see
            `within_class_whitening`.

    Returns:
        float32 (batch, height, width, channels) "image", from 0 to 255 -> float32 (batch, features) "embedding", of
        length 1.

    References:
        Lades et al. 1993, Distortion invariant object recognition in the dynamic link architecture.
    """
    height, width, _ = image_shape
    image = keras.Input(image_shape, dtype="float32", name="image")
    x = keras.layers.Rescaling(1 / 255, dtype="float32", name="gabor_scaled")(image)
    if height != GABOR_HEIGHT:
        wide = max(GABOR_HEIGHT // 2, round(GABOR_HEIGHT * width / height))
        x = keras.layers.Resizing(GABOR_HEIGHT, wide, dtype="float32", name="gabor_resized")(x)
    x = keras.layers.Flatten(name="gabor_flat")(GaborMagnitudes(dtype="float32", name="gabor")(x))
    x = keras.layers.UnitNormalization(dtype="float32", name="gabor_direction")(x)
    if whitening is not None:
        x = keras.layers.Rescaling(1.0, -center, dtype="float32", name="gabor_centred")(x)
        whiten = keras.layers.Dense(len(whitening), use_bias=False, dtype="float32", name="gabor_whitened")
        x = whiten(x)
        whiten.set_weights([whitening])
        x = keras.layers.UnitNormalization(dtype="float32", name="gabor_embedding")(x)
    return keras.Model(image, x, name="gabor_embedder")


def within_class_whitening(
    features: np.ndarray, labels: np.ndarray, shrinkage: float = 3.0
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate within-class covariance normalization.

    Args:
        features: float (examples, features).
        labels: int (examples,), what is shown.
        shrinkage: times the mean variance, which is added to each feature's: the more, the less is whitened. Where
            classes of one example each say nothing, nothing is.

    Returns:
        float32 (features,), the mean of all; and float32 (features, features) W, for which
        W W^T = (covariance within classes + shrinkage * mean variance * I)^-1. Compare (features - mean) W.

    References:
        Hatch, Kajarekar and Stolcke 2006, Within-class covariance normalization for SVM-based speaker recognition.
    """
    features = features.astype(np.float64)
    _, classes = np.unique(labels, return_inverse=True)
    means = np.stack([features[classes == number].mean(axis=0) for number in range(classes.max() + 1)])
    differences = features - means[classes]
    covariance = differences.T @ differences / len(features)
    mean_variance = np.trace(covariance) / len(covariance) or 1.0
    covariance += shrinkage * mean_variance * np.eye(len(covariance))
    variances, directions = np.linalg.eigh(covariance)
    return features.mean(axis=0).astype(np.float32), (directions / np.sqrt(variances)).astype(np.float32)
