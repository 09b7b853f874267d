"""Data sets of labeled images: three splits, and the checks for every source."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from tfpar.data.images.files import resize_and_pad
from tfpar.data.readers.class_checks import check_training_classes, format_class_counts
from tfpar.data.readers.splits import SPLITS, check_cut, cut_missing, describe_cut, join_rules
from tfpar.errors import UserError

DEFAULT_SIZE = 64  # of images that have no size in common


@dataclass(frozen=True, eq=False)
class LabeledImages:
    """One split.

    Attributes:
        images: uint8 (examples, height, width, channels).
        labels: int32 (examples,); indices into the class names.
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class ImageData:
    """A data set of labeled images of one size.

    Attributes:
        name: the spec that it was loaded by.
        train, validation, test: the splits; `validation` is empty where nobody asked for one.
        class_names: by label.
        split_rule: one sentence: how the splits came about.
        notice: license, attribution or citation to show to the user.
        skipped: reason -> number of files or images left out for it.
    """

    name: str
    train: LabeledImages
    validation: LabeledImages
    test: LabeledImages
    class_names: tuple[str, ...]
    split_rule: str
    notice: str
    skipped: dict[str, int]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        return self.train.images.shape[1:]


@dataclass
class CollectedImages:
    """Examples from a reader.

    Attributes:
        where: the folder or set, as error messages name it.
        class_names: by label.
        images: uint8 (height, width, 1 or 3) each, of any sizes.
        labels, splits: one entry per example; a split is one of SPLITS.
        skipped: reason -> files or images.
        given_rule: how the splits that the source brought came about; "" if it brought none.
        groups: one entry per example, of which equal ones share a split; used if `grouped_by` is not empty.
        grouped_by: where groups come from; "" where equal images alone share a split.
        advice: what to say where splits are cut and there are no groups.
    """

    where: str
    class_names: tuple[str, ...] = ()
    images: list[np.ndarray] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    skipped: Counter = field(default_factory=Counter)
    given_rule: str = ""
    groups: list[str] = field(default_factory=list)
    grouped_by: str = ""
    advice: str = ""


def assemble(
    name: str, collected: CollectedImages, notice: str, image_size: int = 0, cut_validation: bool = False
) -> ImageData:
    """Check the classes, cut the missing splits out of `train` and give all images one size.

    Args:
        name: the spec.
        collected: what was read.
        notice: see `ImageData`.
        image_size: see `load_images`.
        cut_validation: cut a validation split, too, if the source has none.

    Raises:
        UserError: fewer than two classes, a class with too few images, or one that training never shows.
    """
    wanted = ("test", "validation") if cut_validation else ("test",)
    keys = collected.groups
    if not collected.grouped_by:
        keys = [hashlib.md5(image.tobytes()).hexdigest() for image in collected.images]
    splits, missing = cut_missing(keys, collected.labels, collected.splits, wanted)
    _check_classes(collected, keys, splits, missing)
    check_cut(collected.where, keys, splits, missing)
    images = _resize_all(collected.images, image_size)
    labels, split_of = np.array(collected.labels, np.int32), np.array(splits)
    rule = describe_cut(missing, "images", collected.grouped_by, collected.advice)
    return ImageData(
        name=name,
        **{split: LabeledImages(images[split_of == split], labels[split_of == split]) for split in SPLITS},
        class_names=collected.class_names,
        split_rule=join_rules(collected.given_rule, rule),
        notice=notice,
        skipped=dict(collected.skipped),
    )


def _resize_all(images: list[np.ndarray], image_size: int) -> np.ndarray:
    """Return images of one size: uint8 (examples, height, width, channels)."""
    shapes = {image.shape[:2] for image in images}
    channels = max(image.shape[2] for image in images)
    if len(shapes) > 1:
        height = width = image_size or DEFAULT_SIZE
    else:
        ((height, width),) = shapes
        if image_size:
            longer = max(height, width)
            height, width = (max(1, round(side * image_size / longer)) for side in (height, width))
    return np.stack([resize_and_pad(image, height, width, channels) for image in images])


def _check_classes(collected: CollectedImages, keys: list[str], splits: list[str], missing: tuple[str, ...]) -> None:
    distinct = Counter(label for _, label in set(zip(keys, collected.labels, strict=True)))
    if len(distinct) < 2:
        only = repr(collected.class_names[next(iter(distinct))]) if distinct else "none"
        raise UserError(f"{collected.where}: expected images of at least two classes; got {only}")
    fewest = 1 + len(missing)
    rare = {name: distinct[label] for label, name in enumerate(collected.class_names) if distinct[label] < fewest}
    if rare:
        raise UserError(
            f"{collected.where}: every class needs at least {fewest} different "
            f"{'groups' if collected.grouped_by else 'images'}, one for each of "
            f"{', '.join(('train', *missing))}; got {format_class_counts(rare)}; add images or remove the class"
        )
    check_training_classes(collected.where, collected.class_names, collected.labels, splits)
