"""Images from files, as arrays of one size; needs Pillow, and no TensorFlow."""

import io

import numpy as np

from tfpar.errors import MissingExtraError

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".pgm", ".ppm", ".tif", ".tiff", ".webp")
NAMES = "PNG, JPEG, GIF, BMP, PGM, TIFF or WebP"
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "PPM", "TIFF", "WEBP")  # Pillow's names: it can do more, by other programs


class UndecodableImageError(ValueError):
    """The bytes are no image that can be read here."""


def decode_image(content: bytes) -> np.ndarray:
    """Decode a PNG, JPEG, GIF, BMP, PGM, TIFF or WebP file; of an animation, or of pages, the first picture.

    The picture is turned as its EXIF data say. Transparency is laid over white. 16 bits of gray become 8; if none of
    its values needs more than 12, the picture is one of 12 bits, as scanners and microscopes write them.

    Returns:
        uint8 (height, width, 1) if it is gray, else (height, width, 3).

    Raises:
        UndecodableImageError: it is none of these, or damaged.
        MissingExtraError: Pillow is not installed.
    """
    pillow = _import_pillow()
    try:
        with pillow.open(io.BytesIO(content), formats=_FORMATS) as image:
            image.load()
            return _to_array(image)
    except pillow.UnidentifiedImageError as error:  # Pillow's words would name the buffer in memory
        raise UndecodableImageError(f"it is no {NAMES}") from error
    except Exception as error:  # of damaged files Pillow raises whatever its parts do
        raise UndecodableImageError(str(error) or type(error).__name__) from error


def _to_array(image) -> np.ndarray:
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode[0] in "IF":  # more than 8 bits of gray
        return _to_8_bits(np.asarray(image))[..., None]
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = _import_pillow().new("RGBA", over.size, "white")
        image.alpha_composite(over)
        image = image.convert("L" if _is_gray(over) else "RGB")
    array = np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))
    return array[..., None] if array.ndim == 2 else array


def _to_8_bits(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "f" or values.min(initial=0) < 0 or values.max(initial=0) >= 1 << 16:
        raise UndecodableImageError("its values are not of 8, 12 or 16 bits; write it as one of 8 or 16 bits")
    return (values >> (4 if values.max(initial=0) < 1 << 12 else 8)).astype(np.uint8)


def _is_gray(image) -> bool:
    red, green, blue, _ = np.moveaxis(np.asarray(image), -1, 0)
    return bool((red == green).all() and (green == blue).all())


def resize_and_pad(image: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
    """Resize an image with its aspect ratio, and pad both sides with black.

    Args:
        image: uint8 (any height, any width, 1 or 3).
        height, width: wanted.
        channels: wanted, 1 (gray) or 3 (color).

    Returns:
        uint8 (height, width, channels).
    """
    if image.shape == (height, width, channels):
        return image
    picture = _import_pillow().fromarray(image[..., 0] if image.shape[2] == 1 else image)
    picture = picture.convert("L" if channels == 1 else "RGB")
    scale = min(height / image.shape[0], width / image.shape[1])
    inner = [min(limit, max(1, round(side * scale))) for side, limit in zip(image.shape, (height, width), strict=False)]
    picture = np.asarray(picture.resize(inner[::-1], _import_pillow().Resampling.BILINEAR)).reshape(*inner, channels)
    result = np.zeros((height, width, channels), np.uint8)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    result[top : top + inner[0], left : left + inner[1]] = picture
    return result


def _import_pillow():
    try:
        from PIL import Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401  (these two register their formats)
    except ImportError as error:
        raise MissingExtraError("pillow", "recipes", "to read images") from error
    return Image
