"""Deals out whole classes, to test on people that training never shows; and makes people up."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfpar.data.labelled_images import ImageData, LabelledImages
from tfpar.errors import UserError

_TRAIN_SHARE = 0.75
_FEWEST = 2  # people in each split, else there are no pairs to tell apart


def split_classes(images: ImageData) -> ImageData:
    """Makes the first three quarters of the classes training, the others test, each with all of its images.

    Args:
        images: splits that share their classes.

    Returns:
        The same images, sorted by class; labels of the test split go on where those of training end.

    Raises:
        UserError: there are too few classes, or no class of the test has two images.
    """
    parts = (images.train, images.validation, images.test)
    pixels, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "labels"))
    count = int(len(images.class_names) * _TRAIN_SHARE)
    if min(count, len(images.class_names) - count) < _FEWEST or np.bincount(labels)[count:].max() < 2:
        raise UserError(
            f"{images.name}: to test on other people than are trained on, at least {2 * _FEWEST + 1} are needed, and "
            f"several pictures of each; got {len(images.class_names)} people"
        )
    order = np.argsort(labels, kind="stable")
    train, test = order[labels[order] < count], order[labels[order] >= count]
    return dataclasses.replace(
        images,
        train=LabelledImages(pixels[train], labels[train]),
        validation=LabelledImages(pixels[:0], labels[:0]),
        test=LabelledImages(pixels[test], labels[test]),
        split_rule=f"by person: the first {count} are training, the other {len(images.class_names) - count} test",
    )


def with_stretched_people(images: LabelledImages, factors: Sequence[float]) -> LabelledImages:
    """Adds people to train on: for each factor everybody once more, so much wider, or narrower below 1.

    A face is told by its proportions, so a stretched one is another person's, and few people teach less than many.

    Args:
        images: of `people` classes.
        factors: above 0.

    Returns:
        The images, then those of each factor; the labels of the i-th factor begin at i * `people`.
    """
    people = int(images.labels.max()) + 1
    pixels = [images.images] + [_widened(images.images, factor) for factor in factors]
    labels = [images.labels + people * place for place in range(len(pixels))]
    return LabelledImages(np.concatenate(pixels), np.concatenate(labels).astype(np.int32))


def _widened(images, factor):
    """uint8 of the same shape: the middle of wider images, or narrower ones between repetitions of their edges."""
    import tensorflow as tf

    height, width = images.shape[1:3]
    wide = tf.image.resize(images, (height, round(width * factor)), antialias=True).numpy()
    wide = np.clip(np.round(wide), 0, 255).astype(np.uint8)
    margin = max(0, width - wide.shape[2])
    padded = np.pad(wide, ((0, 0), (0, 0), (margin // 2, margin - margin // 2), (0, 0)), mode="edge")
    start = (padded.shape[2] - width) // 2
    return padded[:, :, start : start + width]
