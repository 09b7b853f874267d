"""Images as inputs of a model; Pillow and NumPy, no TensorFlow."""

import numpy as np

from tfpar.data.images.files import UndecodableImageError, decode_image, resize_and_pad
from tfpar.errors import UserError
from tfpar.files import read_file


def read_image(image: str | np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Read an image as a model's input.

    Args:
        image: path of a file that `decode_image` reads; or pixels from 0 to 255: (height, width[, 1 or 3]),
            uint8 if they are to be resized.
        shape: height, width and channels.

    Returns:
        float32 of `shape`, from 0 to 255.

    Raises:
        UserError: the file cannot be read, or is no such image.
    """
    height, width, channels = map(int, shape)
    if isinstance(image, np.ndarray):
        pixels = _check_pixels(image, (height, width, channels))
        return resize_and_pad(pixels, height, width, channels).astype(np.float32)
    try:
        pixels = decode_image(read_file(image))
    except OSError as error:
        raise UserError(f"{image} cannot be read: {error.strerror}; an input must be an image file") from error
    except UndecodableImageError as error:
        raise UserError(f"{image} is no image that can be read, or is damaged: {error}") from error
    return resize_and_pad(pixels, height, width, channels).astype(np.float32)


def _check_pixels(array, shape):
    pixels = array[..., None] if array.ndim == 2 else array
    is_image = pixels.ndim == 3 and pixels.shape[2] in (1, 3) and pixels.size
    if not is_image or (pixels.dtype != np.uint8 and (pixels.shape != shape or pixels.dtype.kind not in "iuf")):
        raise UserError(
            f"an image must be uint8 (height, width) or (height, width, 1 or 3), or numbers of the shape {shape}; got "
            f"{array.dtype} of the shape {array.shape}"
        )
    if not ((pixels >= 0) & (pixels <= 255)).all():
        raise UserError("the pixels of an image must be from 0 to 255; scale them")
    return pixels
