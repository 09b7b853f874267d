"""The door to labelled images: folders, sets of TensorFlow Datasets, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from tfpar.data import load_images, split_classes
from tfpar.errors import UserError

RANDOM = np.random.default_rng(0)


def save(path, shape=(12, 12), kind=".png"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RANDOM.integers(0, 256, shape).astype(np.uint8)).save(path.with_suffix(kind))


@pytest.fixture
def folder(tmp_path):
    """Two classes of twelve grey images."""
    for name in ("cat", "dog"):
        for number in range(12):
            save(tmp_path / "photos" / name / str(number))
    return tmp_path / "photos"


def test_a_folder_is_cut_into_splits(folder):
    data = load_images(f"folder:{folder}")
    assert data.class_names == ("cat", "dog") and data.image_shape == (12, 12, 1)
    assert (len(data.train), len(data.validation), len(data.test)) == (22, 0, 2)
    assert sorted(data.test.labels) == [0, 1] and data.train.images.dtype == np.uint8
    assert "test cut from train" in data.split_rule and str(folder) in data.notice
    cut = load_images(f"folder:{folder}", cut_validation=True)
    assert (len(cut.train), len(cut.validation), len(cut.test)) == (20, 2, 2)
    np.testing.assert_array_equal(cut.test.images, data.test.images)


def test_equal_images_share_a_split(folder):
    for path in sorted((folder / "cat").iterdir()):
        path.with_stem(path.stem + "_copy").write_bytes(path.read_bytes())
    data = load_images(f"folder:{folder}")
    held_out = {image.tobytes() for image in data.test.images}
    assert len(data.test) == 3 and not held_out & {image.tobytes() for image in data.train.images}


def test_what_cannot_be_used_is_counted(folder):
    (folder / "cat" / "notes.txt").write_text("mine")
    (folder / "cat" / "torn.png").write_bytes((folder / "cat" / "1.png").read_bytes()[:70])
    (folder / "empty").mkdir()
    (folder / ".hidden").mkdir()
    (folder / "read me").write_text("mine")
    data = load_images(f"folder:{folder}")
    assert data.skipped == {"not an image file": 1, "image that cannot be read": 1, "class without an image": 1}
    assert data.class_names == ("cat", "dog") and len(data.train) + len(data.test) == 24


def test_mixed_sizes_and_colours_become_one(folder):
    save(folder / "cat" / "wide", (10, 40, 3), ".jpg")
    save(folder / "dog" / "tall", (40, 10), ".bmp")
    data = load_images(f"folder:{folder}")
    assert data.image_shape == (64, 64, 3) and len(data.train) + len(data.test) == 26
    assert load_images(f"folder:{folder}", image_size=16).image_shape == (16, 16, 3)


def test_equal_sizes_are_scaled_by_the_longer_side(tmp_path):
    for name in "ab":
        for number in range(3):
            save(tmp_path / name / str(number), (40, 20))
    assert load_images(f"folder:{tmp_path}", image_size=20).image_shape == (20, 10, 1)


def test_classes_with_numbers_are_sorted_by_value(tmp_path):
    for name in ("s10", "s9", "s1"):
        for number in range(2):
            save(tmp_path / name / str(number))
    assert load_images(f"folder:{tmp_path}").class_names == ("s1", "s9", "s10")


def test_one_image_of_a_class_is_refused(folder):
    save(folder / "bird" / "1")
    with pytest.raises(UserError, match="at least 2 different images, .*; got 1 of 'bird'; add images or remove"):
        load_images(f"folder:{folder}")


def test_one_class_is_refused(tmp_path):
    save(tmp_path / "cat" / "1")
    (tmp_path / "dog").mkdir()
    with pytest.raises(UserError, match="at least two classes; got 'cat'"):
        load_images(f"folder:{tmp_path}")


def test_folders_that_are_refused(tmp_path):
    with pytest.raises(UserError, match="nothing does not exist; expected a folder of images"):
        load_images(f"folder:{tmp_path / 'nothing'}")
    save(tmp_path / "flat")
    with pytest.raises(UserError, match="has no sub-folders; expected one for each class"):
        load_images(f"folder:{tmp_path}")
    with pytest.raises(UserError, match="is a file; expected a folder"):
        load_images(f"folder:{tmp_path / 'flat.png'}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="at least two classes; got none"):
        load_images(f"folder:{tmp_path}")


@pytest.mark.parametrize("spec", ["mnist", "csv:digits.csv", "folder:", ""])
def test_specs_that_are_refused(spec):
    with pytest.raises(UserError, match=r"expected mnist_5k, orl_faces, tfds:NAME\[/CONFIG\] or folder:PATH"):
        load_images(spec)


def test_a_size_that_is_refused(folder):
    with pytest.raises(UserError, match="image_size must be 0 or at least 8 pixels; got 3"):
        load_images(f"folder:{folder}", image_size=3)


def rows(count):
    images = RANDOM.integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    return [{"image": image, "label": number % 2} for number, image in enumerate(images)]


def test_a_tfds_set_keeps_its_splits(tfds, make_set, tmp_path):
    features = {"image": tfds.features.Image(shape=(8, 8, 3)), "label": tfds.features.ClassLabel(names=["no", "yes"])}
    examples = {"train": rows(10), "test": rows(4)}
    make_set("TinyPhotos", features, examples)
    data = load_images("tfds:tiny_photos", cache_dir=tmp_path)
    assert data.class_names == ("no", "yes") and "as published" in data.split_rule and "Me, 2020" in data.notice
    assert (len(data.train), len(data.validation), len(data.test)) == (10, 0, 4)
    expected = {row["image"].tobytes(): row["label"] for row in examples["test"]}
    assert {image.tobytes(): label for image, label in zip(data.test.images, data.test.labels, strict=True)} == expected


def test_a_tfds_set_without_an_image_is_refused(tfds, make_set, tmp_path):
    features = {"text": tfds.features.Text(), "label": tfds.features.ClassLabel(num_classes=2)}
    make_set("TinyWords", features, {"train": [{"text": "a", "label": 0}]})
    with pytest.raises(UserError, match="tfds:tiny_words is not an image classification set.*images none"):
        load_images("tfds:tiny_words", cache_dir=tmp_path)


def test_whole_classes_are_dealt_out(tmp_path):
    for person in range(8):
        for number in range(3):
            save(tmp_path / f"p{person}" / str(number))
    data = split_classes(load_images(f"folder:{tmp_path}"))
    assert sorted(set(data.train.labels)) == list(range(6)) and sorted(data.test.labels) == [6, 6, 6, 7, 7, 7]
    assert len(data.validation) == 0 and "first 6 are training" in data.split_rule


def test_too_few_classes_to_deal_out(folder):
    with pytest.raises(UserError, match="at least 5 are needed.*got 2 people"):
        split_classes(load_images(f"folder:{folder}"))
