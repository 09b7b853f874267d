"""Augmentation that changes gray or color values: light, noise, missing parts."""

from tfpar.data.images.augment import Step, uniform


def random_brightness_contrast(brightness: float = 0.0, contrast: float = 0.0) -> Step:
    """Change each image's brightness and contrast.

    Args:
        brightness: at most so much of the full range is added or taken.
        contrast: distances from the image's mean grow by a factor from 1 - contrast to 1 + contrast.
    """

    def change(images, seed):
        import tensorflow as tf

        one_each = [images.shape[0], 1, 1, 1]
        added = 255 * uniform(seed, 0, one_each, -brightness, brightness)
        factor = uniform(seed, 1, one_each, 1 - contrast, 1 + contrast)
        mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
        return tf.clip_by_value((images - mean) * factor + mean + added, 0.0, 255.0)

    return Step("light", change)


def random_noise(deviation: float) -> Step:
    """Add normal noise to each value.

    Args:
        deviation: its standard deviation, as a share of the full range.
    """

    def change(images, seed):
        import tensorflow as tf

        noisy = images + tf.random.stateless_normal(images.shape, seed, stddev=255 * deviation)
        return tf.clip_by_value(noisy, 0.0, 255.0)

    return Step("noise", change)


def random_cutout(fraction: float) -> Step:
    """Hide a square of each image, anywhere, also partly beyond the border.

    Args:
        fraction: side of the square, as a fraction of the image's shorter side.

    References:
        DeVries & Taylor 2017, arXiv:1708.04552.
    """

    def change(images, seed):
        import tensorflow as tf

        rows, height, width, _ = images.shape
        half = fraction * min(height, width) / 2
        row = uniform(seed, 0, [rows, 1, 1, 1], 0, height)
        column = uniform(seed, 1, [rows, 1, 1, 1], 0, width)
        far_down = tf.abs(tf.range(height, dtype=tf.float32)[:, None, None] + 0.5 - row) > half
        far_right = tf.abs(tf.range(width, dtype=tf.float32)[:, None] + 0.5 - column) > half
        return tf.where(far_down | far_right, images, 0.0)

    return Step("cutout", change)
