"""Labeled images: folders, sets of TensorFlow Datasets, and refusals."""

import numpy as np
import pytest
from PIL import Image

from tfpar.data import load_images
from tfpar.errors import UserError
from tfpar.tasks.face_recognition import split_by_person

RANDOM = np.random.default_rng(0)


def save(path, shape=(12, 12), kind=".png"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RANDOM.integers(0, 256, shape).astype(np.uint8)).save(path.with_suffix(kind))


@pytest.fixture
def folder(tmp_path):
    """Two classes of twelve gray images."""
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
    save(folder / "loose")
    data = load_images(f"folder:{folder}")
    assert data.skipped == {
        "not an image file": 1,
        "image that cannot be read": 1,
        "class without an image": 1,
        "image outside of a class's folder": 1,
    }
    assert data.class_names == ("cat", "dog") and len(data.train) + len(data.test) == 24


def test_mixed_sizes_and_colors_become_one(folder):
    save(folder / "cat" / "wide", (10, 40, 3), ".jpg")
    save(folder / "dog" / "tall", (40, 10), ".bmp")
    data = load_images(f"folder:{folder}")
    assert data.image_shape == (64, 64, 3) and len(data.train) + len(data.test) == 26
    assert load_images(f"folder:{folder}", image_size=16).image_shape == (16, 16, 3)


@pytest.mark.parametrize("kind", [".webp", ".tif", ".TIFF"])
def test_a_folder_has_the_kinds_of_files_that_predictions_have(folder, kind):
    save(folder / "cat" / "more", kind=kind)
    data = load_images(f"folder:{folder}")
    assert len(data.train) + len(data.test) == 25 and data.skipped == {}


def split_folders(path, *names):
    """Folders of splits, with two images of each of two classes."""
    for name in names:
        for label in "ab":
            for number in range(2):
                save(path / name / label / str(number))
    return f"folder:{path}"


def sizes(data):
    return len(data.train), len(data.validation), len(data.test)


def test_a_folder_brings_its_splits(tmp_path):
    data = load_images(split_folders(tmp_path, "train", "Val", "testing"))
    assert sizes(data) == (4, 4, 4) and data.class_names == ("a", "b")
    assert data.split_rule == "as the folders train, Val, testing say"


def test_a_folder_brings_some_of_its_splits(tmp_path):
    spec = split_folders(tmp_path, "train", "test")
    assert sizes(load_images(spec)) == (4, 0, 4)
    cut = load_images(spec, cut_validation=True)
    assert sizes(cut) == (2, 2, 4) and "as the folders train, test say; validation cut from train" in cut.split_rule


@pytest.mark.parametrize(
    "names, more, words",
    [
        (("train", "test"), "c/0", "the split 'test' beside the folder 'c'"),
        (("train", "val", "valid"), None, "two folders for validation: val and valid; merge them"),
        (("test", "val"), None, "has 'test' and no 'train'"),
        (("train",), "test/c/0", "must show every class; got 0 of 'c'"),
        ((), "train/0", "train must have a sub-folder for each class"),
    ],
)
def test_mixed_splits_are_refused(tmp_path, names, more, words):
    spec = split_folders(tmp_path, *names)
    if more:
        save(tmp_path / more)
    with pytest.raises(UserError, match=words):
        load_images(spec)


def test_people_are_not_dealt_out_anew_where_a_folder_brings_its_splits(tmp_path):
    data = load_images(split_folders(tmp_path, "train", "test"))
    with pytest.raises(UserError, match="brings train and test with the same people"):
        split_by_person(data)


def test_an_empty_split_is_refused(tmp_path):
    spec = split_folders(tmp_path, "train")
    (tmp_path / "test" / "a").mkdir(parents=True)
    with pytest.raises(UserError, match="test holds no file that can be used"):
        load_images(spec)


def test_a_class_may_be_called_like_a_split(tmp_path):
    for name in ("train", "bus"):
        for number in range(3):
            save(tmp_path / name / str(number))
    assert load_images(f"folder:{tmp_path}").class_names == ("bus", "train")


@pytest.fixture
def people(tmp_path):
    """Twenty people with three images each, in both of two classes."""
    for label in "ab":
        for person in range(20):
            for number in range(3):
                save(tmp_path / "people" / label / f"p{person:02}_{number}", (8, 8, 3))
    return tmp_path / "people"


def people_of(data, folder):
    """The people of each split, by the images of the folder."""
    person = {np.asarray(Image.open(path)).tobytes(): path.name[:3] for path in folder.glob("*/*.png")}
    splits = (data.train, data.validation, data.test)
    return [{person[image.tobytes()] for image in split.images} for split in splits]


@pytest.mark.parametrize("source", ["pattern", "table"])
def test_a_person_stays_in_one_split(people, source):
    if source == "table":
        names = sorted(path.relative_to(people).as_posix() for path in people.glob("*/*.png"))
        (people / "groups.tsv").write_text("path\tgroup\n" + "".join(f"{n}\t{n[2:5]}\r\n" for n in names))
    data = load_images(f"folder:{people}", cut_validation=True, group="/(p[0-9]+)_" if source == "pattern" else "")
    train, validation, test = people_of(data, people)
    assert (len(train), len(validation), len(test)) == (16, 2, 2) and len(train | validation | test) == 20
    assert sizes(data) == (96, 12, 12)
    assert f"by groups ({'--group' if source == 'pattern' else 'groups.tsv'}" in data.split_rule


def test_without_groups_the_rule_says_so(people):
    data = load_images(f"folder:{people}")
    assert "dealt out one by one" in data.split_rule and "--group PATTERN" in data.split_rule
    assert people_of(data, people)[0] & people_of(data, people)[2]


@pytest.mark.parametrize(
    "group, words",
    [
        ("(p", r"--group must be a regular expression; got '\(p'"),
        ("p[0-9]", "--group must have a group in parentheses"),
        ("(p00)", r"--group \(p00\) names no group for 'a/p01_0.png'"),
        ("(x?)", "names no group"),
        ("^([ab])/", "needs at least 2 different groups"),
    ],
)
def test_groups_that_are_refused(people, group, words):
    with pytest.raises(UserError, match=words):
        load_images(f"folder:{people}", group=group)
    with pytest.raises(UserError, match="--group is for folder: alone; got dataset 'orl_faces'"):
        load_images("orl_faces", group=group)


@pytest.mark.parametrize(
    "table, words",
    [
        ("a/p00_0.png\tx\n", r"groups.tsv names no group for 'a/p00_1.png'"),
        ("a/p00_0.png x\n", "line 1 must be a path, a tab and a group"),
        ("a/p00_0.png\tx\na/p00_0.png\ty\n", "has the groups 'x' and 'y'; name one"),
        (b"\xff\xfe", "is not UTF-8"),
    ],
)
def test_tables_of_groups_that_are_refused(people, table, words):
    (people / "groups.tsv").write_bytes(table if isinstance(table, bytes) else table.encode())
    with pytest.raises(UserError, match=words):
        load_images(f"folder:{people}")


def test_a_group_in_two_given_splits_is_refused(tmp_path):
    spec = split_folders(tmp_path, "train", "test")
    with pytest.raises(UserError, match="group '0' is in train and in test"):
        load_images(spec, group=r"/(\d)\.png")


def test_class_names_must_be_utf8(folder):
    (folder.parent / "photos" / "caf\udce9").mkdir()
    with pytest.raises(UserError, match="the name of a folder must be UTF-8"):
        load_images(f"folder:{folder}")


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
    data = split_by_person(load_images(f"folder:{tmp_path}"))
    assert sorted(set(data.train.labels)) == list(range(6)) and sorted(data.test.labels) == [6, 6, 6, 7, 7, 7]
    assert len(data.validation) == 0 and "first 6 are training" in data.split_rule


def test_too_few_classes_to_deal_out(folder):
    with pytest.raises(UserError, match="at least 5 are needed.*got 2 people"):
        split_by_person(load_images(f"folder:{folder}"))
