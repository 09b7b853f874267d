"""An image and its shifts by half a pixel."""

import keras
import numpy as np
import pytest

from tfpar.tasks.image_classification import ShiftedViews


def by_numpy(images):
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
    neighbors = [padded[:, :-2, 1:-1], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2], padded[:, 1:-1, 2:]]
    return np.concatenate([images, *((images + neighbor) / 2 for neighbor in neighbors)])


@pytest.mark.parametrize("shape", [(2, 5, 4, 3), (1, 1, 6, 1), (3, 2, 1, 2)])
def test_views(shape):
    images = np.random.default_rng(0).uniform(0, 255, shape).astype("float32")
    np.testing.assert_allclose(ShiftedViews()(images), by_numpy(images), rtol=1e-6)


def test_a_black_edge_lets_no_light_in_or_out():
    images = np.pad(np.ones((1, 2, 2, 1), "float32"), [(0, 0), (1, 1), (1, 1), (0, 0)])
    np.testing.assert_allclose(np.sum(ShiftedViews()(images), axis=(1, 2, 3)), [4] * 5)


def test_shapes():
    assert ShiftedViews()(keras.Input((5, 4, 3))).shape == (None, 5, 4, 3)
    assert ShiftedViews().compute_output_shape((2, 5, 4, 3)) == (10, 5, 4, 3)
