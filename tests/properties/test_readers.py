"""Readers of data sets, on generated files: valid ones come back, damaged ones are refused in one sentence."""

import csv
import io
import struct
import zlib

import numpy as np
import pytest
from generated_inputs import damaged, examples, overwrite, read_or_refuse
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tfpar.data.images.files import UndecodableImageError, decode_image
from tfpar.data.readers.delimited import Dialect, read_delimited
from tfpar.data.wav import decode_wav
from tfpar.export.generic.arrays import read_arrays
from tfpar.tasks.text_classification import load_text_classification
from tfpar.tasks.translation import load_translation

pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("ignore")]  # Pillow warns of damaged files

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=12)
TABLE = b"text,label,split\n" + b"".join(b'"film, %d",%d,train\n' % (n, n % 2) for n in range(12))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


@examples(150)
@given(
    rows=st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5),
    delimiter=st.sampled_from(",;\t| \u00a7"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le"]),
)
def test_a_table_comes_back(folder, rows, delimiter, encoding):
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("a", "b"), *rows])
    path = overwrite(folder / "table.csv", file.getvalue().encode(encoding))
    dialect = Dialect(True, delimiter, encoding)
    with read_delimited(path, dialect, wanted={"x": "a", "y": "b"}, split_column="split") as (columns, found):
        assert columns.fields == (0, 1) and [tuple(row) for row in found] == rows


@examples(300)
@given(
    content=damaged(TABLE, TABLE, TABLE.decode().encode("utf-16"), b"\0\xff\xfe\x80"),
    kind=st.sampled_from(["csv", "tsv"]),
    encoding=st.sampled_from(["utf-8", "cp1252", "utf-16", "utf-16-be", "utf-32", "utf-7", "shift_jis"]),
    delimiter=st.sampled_from(["", ";", "\t"]),
)
def test_damaged_tables(folder, content, kind, encoding, delimiter):
    path = overwrite(folder / "damaged", content)
    options = {"encoding": encoding, "delimiter": delimiter}
    read_or_refuse(load_text_classification, f"{kind}:{path}", **options)
    read_or_refuse(load_text_classification, f"{kind}:{path}", text_column="0", label_column="1", **options)
    read_or_refuse(load_translation, f"{kind}:{path}", source_column="text", target_column="label", **options)


def wav(code, bits, width, channels, data, rate_hz=8000, is_extensible=False, id=b"RIFF"):
    """The bytes of a WAV file; of RF64, with the size of its data in a ds64 chunk."""
    form = struct.pack("<HHIIHH", code, channels, rate_hz, rate_hz * channels * width, channels * width, bits)
    if is_extensible:
        form = struct.pack("<H", 0xFFFE) + form[2:14] + struct.pack("<HHHIH", 8 * width, 22, bits, 0, code)
        form += bytes.fromhex("000000001000800000aa00389b71")
    body = b"WAVE"
    if id == b"RF64":
        body += b"ds64" + struct.pack("<IQQQI", 28, 0, len(data), 0, 0)
    body += b"fmt " + struct.pack("<I", len(form)) + form
    body += b"data" + struct.pack("<I", 0xFFFFFFFF if id == b"RF64" else len(data)) + data
    return id + struct.pack("<I", 0xFFFFFFFF if id == b"RF64" else len(body)) + body


def pcm(samples, bits, width, is_upper):
    """Samples in (-1, 1) as integers of `bits` in containers of `width` bytes, at their upper or their lower end."""
    whole = np.round(samples * (2 ** (bits - 1) - 1)).astype(np.int64) << (8 * width - bits if is_upper else 0)
    whole += 128 if width == 1 else 0
    return whole.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width].tobytes()


@examples(150)
@given(
    samples=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20),
    kind=st.sampled_from([(8, 1), (16, 2), (24, 3), (32, 4), (24, 4), (20, 3), (12, 2), (20, 4)]),
    channels=st.integers(1, 3),
    id=st.sampled_from([b"RIFF", b"RF64"]),
)
def test_a_sound_comes_back(samples, kind, channels, id):
    bits, width = kind
    samples = np.repeat(np.append(samples, 1 - 2.0 ** (2 - bits)), channels)  # the last one needs all bits
    for is_extensible, is_upper in ((False, False), (False, True), (True, True)):
        content = wav(1, bits, width, channels, pcm(samples, bits, width, is_upper), 8000, is_extensible, id)
        found = decode_wav(content, 8000)
        np.testing.assert_allclose(found, samples[::channels], atol=2.0 ** (2 - min(bits, 24)))


SOUND = np.sin(np.arange(40)) / 2


@examples(750)
@given(
    content=damaged(
        wav(1, 16, 2, 1, pcm(SOUND, 16, 2, True)),
        wav(1, 24, 4, 2, pcm(SOUND, 24, 4, False), is_extensible=True, id=b"RF64"),
        wav(3, 32, 4, 1, SOUND.astype("<f4").tobytes(), rate_hz=44_100),
    )
)
def test_damaged_sounds(content):
    found = read_or_refuse(decode_wav, content, 8000)
    assert found is None or (found.dtype == np.float32 and np.isfinite(found).all())


def encoded(pixels, kind, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


@examples(150)
@given(
    shape=st.sampled_from([(1, 1), (3, 5), (5, 3, 3), (1, 4, 3)]),
    seed=st.integers(0, 1000),
    kind=st.sampled_from(["PNG", "BMP", "PPM", "TIFF", "WEBP"]),
)
def test_an_image_comes_back(shape, seed, kind):
    pixels = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    found = decode_image(encoded(pixels, kind, **({"lossless": True} if kind == "WEBP" else {})))
    np.testing.assert_array_equal(found, np.broadcast_to(pixels.reshape(*shape[:2], -1), found.shape))


def png_16(values):
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", values.shape[1], len(values), 16, 0, 0, 0, 0))]
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


GREY = np.arange(24, dtype=np.uint8).reshape(4, 6) * 9
IMAGES = [encoded(GREY, kind) for kind in ("PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP")]
IMAGES += [encoded(np.stack([GREY] * 3, -1), "JPEG"), encoded(GREY, "TIFF", compression="tiff_deflate")]
IMAGES += [png_16(GREY.astype(np.uint16) * 257)]


@examples(600)
@given(content=damaged(*IMAGES))
def test_damaged_images(content):
    try:
        found = decode_image(content)
    except UndecodableImageError as error:
        assert str(error)
    else:
        assert found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] in (1, 3)


ARRAYS = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "ids": np.arange(4)}


def saved(kind):
    file = io.BytesIO()
    np.savez(file, **ARRAYS) if kind == "npz" else np.save(file, ARRAYS["x"])
    return file.getvalue()


FILES = {"npz": saved("npz"), "npy": saved("npy"), "csv": b"1,2,3\n4,5.5,-6e3\n"}


@examples(100)
@given(
    shape=st.lists(st.integers(0, 3), min_size=1, max_size=3),
    dtype=st.sampled_from(["f4", "f8", "i4", "i8", "u1", ">f4", "?", "f2"]),
    kind=st.sampled_from(["npz", "npy"]),
)
def test_an_array_comes_back(folder, shape, dtype, kind):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    path = folder / f"array.{kind}"
    np.savez(path, x=array) if kind == "npz" else np.save(path, array)
    found = read_arrays(kind, path, {"x": (None,)})["x"]
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype


@examples(500)
@given(kind=st.sampled_from(sorted(FILES)), content=damaged(*FILES.values()))
def test_damaged_arrays(folder, kind, content):
    path = overwrite(folder / "damaged_array", content)
    shapes = {"x": (None, 3)} if kind != "npz" else {"x": (None, 3), "ids": ()}
    found = read_or_refuse(read_arrays, kind, path, shapes)
    assert found is None or set(found) == set(shapes)
