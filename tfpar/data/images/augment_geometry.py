"""Augmentation that moves pixels: turns, shifts, zooms, shears, mirrors, bends."""

import math

from tfpar.data.images.augment import Step, uniform


def random_affine(
    rotation_degrees: float = 0.0,
    shift: float = 0.0,
    zoom: float = 0.0,
    stretch: float = 0.0,
    shear: float = 0.0,
    fill: str = "constant",
) -> Step:
    """Rotate, scale, shear and shift each image by its own random amounts, in one resampling.

    Args:
        rotation_degrees: at most, to either side.
        shift: at most, to either side, as a share of height and of width.
        zoom: the size changes by a factor from 1 - zoom to 1 + zoom.
        stretch: and that of height and width apart, likewise.
        shear: at most, to either side: a row moves by so much of its distance from the centre.
        fill: what comes from beyond the border: "constant" (black), "nearest" or "reflect".
    """

    def change(images, seed):
        import tensorflow as tf

        rows, height, width = images.shape[0], images.shape[1], images.shape[2]
        angle = uniform(seed, 0, [rows], -1, 1) * math.radians(rotation_degrees)
        down, right = (
            uniform(seed, stream, [rows], -1, 1) * shift * side for stream, side in ((1, height), (2, width))
        )
        size = 1 + uniform(seed, 3, [rows], -1, 1) * zoom
        tall, wide = (1 / (size * (1 + uniform(seed, stream, [rows], -1, 1) * stretch)) for stream in (4, 5))
        slant = uniform(seed, 6, [rows], -1, 1) * shear
        # From a place in the result to one in the image: source = A (place - centre) + centre - shift.
        sine, cosine = tf.sin(angle), tf.cos(angle)
        a, b = wide * cosine, wide * (slant * cosine - sine)
        c, d = tall * sine, tall * (slant * sine + cosine)
        middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
        x = middle_x - right - a * middle_x - b * middle_y
        y = middle_y - down - c * middle_x - d * middle_y
        zero = tf.zeros_like(a)
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=tf.stack([a, b, x, c, d, y, zero, zero], axis=1),
            output_shape=[height, width],
            interpolation="BILINEAR",
            fill_mode=fill.upper(),
            fill_value=0.0,
        )

    return Step("affine", change)


def random_flip() -> Step:
    """Mirror each image left to right with probability 0.5."""

    def change(images, seed):
        import tensorflow as tf

        mirrored = uniform(seed, 0, [images.shape[0], 1, 1, 1], 0, 1) < 0.5
        return tf.where(mirrored, images[:, :, ::-1], images)

    return Step("flip", change)


def random_elastic(pixels: float, cells: int = 4) -> Step:
    """Deform each image by random shifts of a coarse grid, interpolated between its corners.

    Args:
        pixels: standard deviation of how far a corner moves, in each direction.
        cells: of the grid, in height and in width.

    References:
        Simard et al. 2003, Best practices for convolutional neural networks applied to visual document analysis.
    """

    def change(images, seed):
        import tensorflow as tf

        rows, height, width, channels = images.shape
        moves = tf.random.stateless_normal([rows, cells + 1, cells + 1, 2], seed, stddev=pixels)
        moves = tf.image.resize(moves, [height, width], "bicubic")
        y = tf.clip_by_value(tf.range(height, dtype=tf.float32)[:, None] + moves[..., 0], 0, height - 1)
        x = tf.clip_by_value(tf.range(width, dtype=tf.float32) + moves[..., 1], 0, width - 1)
        top, left = tf.floor(y), tf.floor(x)
        down, right = (y - top)[..., None], (x - left)[..., None]
        flat = tf.reshape(images, [-1, channels])
        first = tf.range(rows)[:, None, None] * height * width

        def pixel(below, beside):
            row = tf.minimum(tf.cast(top, tf.int32) + below, height - 1)
            column = tf.minimum(tf.cast(left, tf.int32) + beside, width - 1)
            return tf.gather(flat, first + row * width + column)

        upper = pixel(0, 0) * (1 - right) + pixel(0, 1) * right
        lower = pixel(1, 0) * (1 - right) + pixel(1, 1) * right
        return upper * (1 - down) + lower * down

    return Step("elastic", change)
