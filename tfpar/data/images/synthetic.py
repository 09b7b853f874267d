"""Tiny made-up images, to try a recipe's whole path in seconds and without a network."""

import numpy as np

from tfpar.data.images.dataset import ImageData, LabeledImages

_NOISE = 40


def generate_image_classification(
    seed: int = 0, classes: int = 4, train: int = 64, held_out: int = 16, shape: tuple[int, int, int] = (16, 16, 1)
) -> ImageData:
    """Generate noise with a bright bar, whose position indicates the class.

    Args:
        seed: of the noise.
        classes: how many.
        train: number of training images.
        held_out: number of validation images, and of test images.
        shape: height, width and channels of an image.
    """
    generator = np.random.default_rng(seed)

    def split(count):
        labels = np.arange(count, dtype=np.int32) % classes
        images = generator.integers(0, _NOISE, (count, *shape))
        for image, label in zip(images, labels, strict=True):
            begin = label * shape[0] // classes
            image[begin : begin + max(1, shape[0] // classes)] += 255 - _NOISE
        return LabeledImages(images.astype(np.uint8), labels)

    return ImageData(
        name="generated",
        train=split(train),
        validation=split(held_out),
        test=split(held_out),
        class_names=tuple(f"bar {number}" for number in range(classes)),
        split_rule="drawn independently",
        notice="Made up by a random generator; no license.",
        skipped={},
    )
