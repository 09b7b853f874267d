"""Labeled images from TensorFlow Datasets with one image and one label."""

from pathlib import Path

import numpy as np

from tfpar.data.images.dataset import CollectedImages
from tfpar.data.readers.tfds_sets import describe_splits, find_splits_of, iterate_rows, prepare_builder, read_notice
from tfpar.errors import UserError

_BUILDERS = {
    "mnist_5k": "tfpar.data.images.mnist_5k.builder:Mnist5k",
    "orl_faces": "tfpar.data.images.orl_faces.builder:OrlFaces",
}


def read_tfds_images(name: str, cache_dir: Path | None = None) -> tuple[CollectedImages, str]:
    """Prepare the set if need be, and read it.

    Args:
        name: NAME or NAME/CONFIG, as TFDS spells it.
        cache_dir: where to prepare it, in a folder `tfds`.

    Returns:
        The examples, and a notice with license and citation.

    Raises:
        UserError: no such set, it cannot be prepared, or its features are not one image and one label.
        MissingExtraError: TensorFlow Datasets is not installed.
    """
    builder = prepare_builder(name, cache_dir, _BUILDERS)
    image_key, label_key = _image_and_label_keys(builder.info.features, name)
    collected = CollectedImages(where=f"tfds:{name}", class_names=tuple(builder.info.features[label_key].names))
    for split, source in find_splits_of(builder, name).items():
        for row in iterate_rows(builder, source, (image_key, label_key)):
            if row[label_key] < 0:
                collected.skipped["no label"] += 1
                continue
            collected.images.append(_check_channels(row[image_key]))
            collected.labels.append(int(row[label_key]))
            collected.splits.append(split)
    collected.given_rule = describe_splits(builder)
    return collected, read_notice(builder.info)


def _check_channels(image: np.ndarray) -> np.ndarray:
    """Return the image without transparency: uint8 (height, width, 1 or 3)."""
    return image[..., : 1 if image.shape[2] < 3 else 3]


def _image_and_label_keys(features, name: str) -> tuple[str, str]:
    import tensorflow_datasets as tfds

    flat = dict(features.items()) if isinstance(features, tfds.features.FeaturesDict) else {}
    images = [key for key, f in flat.items() if isinstance(f, tfds.features.Image) and np.dtype(f.np_dtype) == np.uint8]
    labels = [key for key, feature in flat.items() if isinstance(feature, tfds.features.ClassLabel)]
    if len(images) == 1 and len(labels) == 1:
        return images[0], labels[0]
    raise UserError(
        f"tfds:{name} is not an image classification set: expected one image of 8 bits and one class label; got images "
        f"{images or 'none'} and labels {labels or 'none'}. Write the images into folders, and give folder:PATH"
    )
