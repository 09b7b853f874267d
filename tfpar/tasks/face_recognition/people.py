"""Splits by person, to test on people that are not in the training set."""

import dataclasses
from pathlib import Path

import numpy as np

from tfpar.data.images.dataset import ImageData, LabeledImages
from tfpar.data.readers.folder_splits import find_splits
from tfpar.errors import UserError

_TRAIN_FRACTION = 0.75
_FEWEST = 2  # people in each split, else there are no pairs to tell apart


def split_by_person(images: ImageData) -> ImageData:
    """Split by class: the first three quarters of the classes are training, the others test.

    Args:
        images: splits that share their classes.

    Returns:
        The same images, sorted by class; labels of the test split go on where those of training end.

    Raises:
        UserError: there are too few classes, no class of the test has two images, or they come from a folder that
            brings splits of its own.
    """
    kind, _, path = images.name.partition(":")
    if kind == "folder" and find_splits(Path(path).expanduser()) != {"train": Path(path).expanduser()}:
        raise UserError(
            f"{images.name} brings train and test with the same people, but they are to be tested on other people; "
            "give one folder of people, without splits"
        )
    splits = (images.train, images.validation, images.test)
    pixels, labels = (np.concatenate([getattr(split, name) for split in splits]) for name in ("images", "labels"))
    count = int(len(images.class_names) * _TRAIN_FRACTION)
    if min(count, len(images.class_names) - count) < _FEWEST or np.bincount(labels)[count:].max() < 2:
        raise UserError(
            f"{images.name}: to test on other people than are trained on, at least {2 * _FEWEST + 1} are needed, and "
            f"several pictures of each; got {len(images.class_names)} people"
        )
    order = np.argsort(labels, kind="stable")
    train, test = order[labels[order] < count], order[labels[order] >= count]
    return dataclasses.replace(
        images,
        train=LabeledImages(pixels[train], labels[train]),
        validation=LabeledImages(pixels[:0], labels[:0]),
        test=LabeledImages(pixels[test], labels[test]),
        split_rule=f"by person: the first {count} are training, the other {len(images.class_names) - count} test",
    )
