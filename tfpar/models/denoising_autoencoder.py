"""A denoising autoencoder: unsupervised pretraining of an image classifier's lower layers."""

import keras

from tfpar import layers
from tfpar.models.image_layers import dense


def denoising_autoencoder(classifier: keras.Model, noise: float = 0.3, seed: int = 0) -> keras.Model:
    """Build a network that reconstructs an image from a copy with missing pixels.

    It uses the classifier's own layers up to the hidden one, so training it trains them.

    Args:
        classifier: from `image_classifier`.
        noise: fraction of the pixels to set to 0.
        seed: of the initial weights and of the noise.

    Returns:
        float32 (batch, height, width, channels) "image", from 0 to 255 -> float32 (batch, height * width *
        channels), from 0 to 1.

    References:
        Vincent et al. 2008, Extracting and composing robust features with denoising autoencoders.
    """
    encode = keras.Model(classifier.input, classifier.get_layer("hidden").output, name="encoder")
    height, width, channels = classifier.input.shape[1:]
    image = keras.Input((height, width, channels), dtype="float32", name="image")
    code = encode(layers.Dropout(noise, seed=seed, name="missing_pixels")(image))
    pixels = dense(height * width * channels, "pixels", seed + 1, activation="sigmoid", dtype="float32")(code)
    return keras.Model(image, pixels, name="denoising_autoencoder")
