"""What is no regular file is refused at once by every reader, instead of being waited for."""

import os

import numpy as np
import pytest
from PIL import Image

from tfpar.data import load_images
from tfpar.data.wav import read_wav
from tfpar.errors import UserError
from tfpar.export.bundle.directory import Bundle
from tfpar.export.bundle.keys import read_encryption_key
from tfpar.export.foreign.pytorch import load_torch
from tfpar.export.generic.arrays import read_arrays
from tfpar.files import read_file
from tfpar.tasks.image_classification.predict import read_image
from tfpar.tasks.speech_recognition import load_speech
from tfpar.tasks.text_classification import load_text_classification
from tfpar.tasks.translation import SubwordTokenizer, load_translation

pytestmark = pytest.mark.timeout(30)

READERS = {
    "csv": lambda path: load_text_classification(f"csv:{path}"),
    "tsv": lambda path: load_text_classification(f"tsv:{path}"),
    "pairs": lambda path: load_translation(f"csv:{path}"),
    "wav": lambda path: read_wav(path, 8000),
    "image": lambda path: read_image(path, (8, 8, 1)),
    "npz": lambda path: read_arrays("npz", path, {"x": (3,)}),
    "npy": lambda path: read_arrays("npy", path, {"x": (3,)}),
    "rows": lambda path: read_arrays("csv", path, {"x": (3,)}),
    "tokenizer": SubwordTokenizer.load,
    "safetensors": load_torch,
}


@pytest.fixture
def fifo(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


@pytest.mark.parametrize("kind", READERS)
def test_every_reader_refuses_what_has_no_end(kind, fifo):
    for path, words in ((fifo, "a FIFO"), ("/dev/zero", "a device"), (fifo.parent, "a directory")):
        with pytest.raises(UserError, match=f"it is {words}; expected a regular file") as caught:
            READERS[kind](path)
        assert "\n" not in str(caught.value)


def test_through_a_link(fifo):
    (fifo.parent / "link.wav").symlink_to(fifo)
    with pytest.raises(UserError, match=r"link\.wav cannot be read: it is a FIFO"):
        read_wav(fifo.parent / "link.wav", 8000)


def test_the_files_of_an_export(tmp_path):
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(UserError, match="it is a FIFO"):
        Bundle(tmp_path)


def test_in_a_folder_of_images_they_are_counted(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(3):
            pixels = np.random.default_rng(number).integers(0, 255, (8, 8), np.uint8)
            Image.fromarray(pixels + (name == "dog")).save(tmp_path / name / f"{number}.png")
    os.mkfifo(tmp_path / "cat" / "3.png")
    assert load_images(f"folder:{tmp_path}").skipped == {"image that cannot be read": 1}


def test_beside_clips(tmp_path):
    (tmp_path / "1.wav").write_bytes(b"RIFF")
    os.mkfifo(tmp_path / "transcripts.tsv")
    with pytest.raises(UserError, match=r"transcripts\.tsv cannot be read: it is a FIFO"):
        load_speech(f"folder:{tmp_path}", task="digits")


def test_a_key_may_come_through_a_fifo_and_has_an_end(fifo):
    """Shells hand over secrets so: --encryption_key file:<(command)."""
    with pytest.raises(UserError, match="at most 65,536 bytes"):
        read_encryption_key("file:/dev/zero")
    if os.fork() == 0:
        fifo.write_text("QUJD")
        os._exit(0)
    with pytest.raises(UserError, match="got 3 bytes"):
        read_encryption_key(f"file:{fifo}")


def test_files_that_are_too_large_or_made_up_as_they_are_read(tmp_path):
    with open(tmp_path / "large", "wb") as file:
        file.truncate(9 << 30)
    with pytest.raises(OSError, match="it has 9,663,676,416 bytes"):
        read_file(tmp_path / "large")
    assert read_file("/proc/self/status").startswith(b"Name:")
    with pytest.raises(OSError, match="this is not a path"):
        read_file("a\0b")
