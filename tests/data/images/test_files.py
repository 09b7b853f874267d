"""Image files of all kinds, and how they get one size."""

import io

import numpy as np
import pytest
from PIL import Image

from tfpar.data.images.files import UndecodableImageError, decode_image, resize_and_pad

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "GIF", "TIFF"])
def test_gray_files_come_back(kind):
    np.testing.assert_array_equal(decode_image(encoded(Image.fromarray(GREY), kind))[..., 0], GREY)


@pytest.mark.parametrize(
    "kind, options", [("PNG", {}), ("BMP", {}), ("PPM", {}), ("TIFF", {}), ("WEBP", {"lossless": True})]
)
def test_color_files_come_back(kind, options):
    np.testing.assert_array_equal(decode_image(encoded(Image.fromarray(COLOUR), kind, **options)), COLOUR)


def test_jpeg_comes_back_nearly():
    smooth = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    assert np.abs(decode_image(encoded(Image.fromarray(smooth), "JPEG")).astype(int) - smooth).max() < 6


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_and_twelve_bits_become_eight(kind):
    for bits in (16, 12):
        image = Image.fromarray((GREY.astype(np.uint16) * 257) >> (16 - bits))
        np.testing.assert_array_equal(decode_image(encoded(image, kind))[..., 0], GREY)


@pytest.mark.parametrize("pixels", [GREY.astype(np.float32) / 255, GREY.astype(np.int32) << 16, -GREY.astype(np.int32)])
def test_values_of_unknown_range_are_refused(pixels):
    with pytest.raises(UndecodableImageError, match="not of 8, 12 or 16 bits"):
        decode_image(encoded(Image.fromarray(pixels), "TIFF"))


def test_other_formats_are_refused_whatever_pillow_can_do():
    with pytest.raises(UndecodableImageError, match="it is no PNG, JPEG"):
        decode_image(encoded(Image.fromarray(COLOUR), "EPS"))


def test_what_is_transparent_becomes_white():
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:2] = (255, 0, 0, 255)
    image = decode_image(encoded(Image.fromarray(pixels), "PNG"))
    assert image[0, 0].tolist() == [255, 0, 0] and image[3, 0].tolist() == [255, 255, 255]


def test_a_photo_is_turned_as_the_camera_says():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    assert decode_image(encoded(Image.fromarray(COLOUR), "JPEG", exif=exif)).shape == (8, 6, 3)


@pytest.mark.parametrize("content", [b"", b"no image", encoded(Image.fromarray(COLOUR), "PNG")[:60]])
def test_damaged_files_are_told(content):
    with pytest.raises(UndecodableImageError):
        decode_image(content)


def test_fitting_keeps_the_aspect_ratio_and_fills_up_with_black():
    image = resize_and_pad(np.full((20, 10, 1), 200, np.uint8), 8, 8, 3)
    assert image.shape == (8, 8, 3)
    assert (image[:, 2:6] == 200).all() and (image[:, :2] == 0).all() and (image[:, 6:] == 0).all()


def test_fitting_leaves_alone_what_fits():
    assert resize_and_pad(COLOUR, 6, 8, 3) is COLOUR
    assert resize_and_pad(COLOUR, 6, 8, 1).shape == (6, 8, 1)
