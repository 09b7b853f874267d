"""From the published PGM files to the two splits.

A folder for each person holds ten pictures. Every fourth file has been through a conversion of line ends: each byte 10
became 13 and 10, among the pixels, too. That is undone, else a reader shifts the rest of the picture with each such
pixel. In two files a 13 and a 10 stood side by side before the conversion, and were left as they were: that pair is
found by trying each, and taking the smoothest picture.
"""

from typing import NamedTuple

import numpy as np

HEIGHT, WIDTH = 112, 92
PEOPLE, PICTURES = 40, 10
TRAINING_PICTURES = 7  # of each person; the others are test
CLASS_NAMES = tuple(f"s{person + 1}" for person in range(PEOPLE))
_HEADER = b"P5\n%d %d\n255\n" % (WIDTH, HEIGHT)


class Face(NamedTuple):
    """One picture: uint8 (112, 92, 1), its person's number from 0 and its own from 1."""

    image: np.ndarray
    person: int
    picture: int


def decode(content: bytes) -> np.ndarray:
    """Decode a picture of this set.

    Args:
        content: of a binary PGM file.

    Returns:
        uint8 (112, 92, 1).

    Raises:
        ValueError: it is no such file.
    """
    if content.startswith(b"P5\r\n"):
        content = _restore_line_ends(content)
    if not content.startswith(_HEADER) or len(content) != len(_HEADER) + HEIGHT * WIDTH:
        raise ValueError(
            f"expected a P5 picture of {WIDTH} x {HEIGHT} pixels; got {content[:15]!r}, {len(content)} bytes"
        )
    return _pixels(content)


def _restore_line_ends(content: bytes) -> bytes:
    pieces = content.split(b"\r\n")
    restored = b"\n".join(pieces)
    if len(restored) != len(_HEADER) + HEIGHT * WIDTH - 1:
        return restored
    lines = _HEADER.count(b"\n")
    candidates = (b"\n".join(pieces[:i]) + b"\r\n" + b"\n".join(pieces[i:]) for i in range(lines + 1, len(pieces)))
    return min(candidates, key=_roughness, default=restored)


def _roughness(content: bytes) -> int:
    """Return the sum of differences between neighbors in a column."""
    return int(np.abs(np.diff(_pixels(content).astype(int), axis=0)).sum())


def _pixels(content: bytes) -> np.ndarray:
    return np.frombuffer(content, np.uint8, offset=len(_HEADER)).reshape(HEIGHT, WIDTH, 1)


def split_faces(files: dict[str, bytes]) -> dict[str, list[Face]]:
    """Decode the pictures and split them: 1 to 7 of each person are training, 8 to 10 test.

    Args:
        files: content by path, `s1/1.pgm` to `s40/10.pgm`; others are left alone.

    Raises:
        ValueError: a picture is missing or is none.
    """
    splits: dict[str, list[Face]] = {"train": [], "test": []}
    wanted = [(person, picture) for person in range(PEOPLE) for picture in range(1, PICTURES + 1)]
    missing = {f"s{person + 1}/{picture}.pgm" for person, picture in wanted} - set(files)
    if missing:
        raise ValueError(f"expected 10 pictures of each of 40 people; {len(missing)} are missing, {min(missing)} first")
    for person, picture in wanted:
        face = Face(decode(files[f"s{person + 1}/{picture}.pgm"]), person, picture)
        splits["train" if picture <= TRAINING_PICTURES else "test"].append(face)
    return splits
