"""Augmentation: what each step does to an image, and that seeds alone decide how."""

import numpy as np
import pytest

from tfpar import data
from tfpar.data.images.dataset import LabeledImages
from tfpar.errors import UserError

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (20, 12, 10, 3)).astype(np.uint8)
SPLIT = LabeledImages(IMAGES, np.arange(20, dtype=np.int32))
STEPS = {
    "affine": data.random_affine(20, 0.1, 0.1, 0.1, 0.1),
    "elastic": data.random_elastic(1.0),
    "flip": data.random_flip(),
    "light": data.random_brightness_contrast(0.2, 0.3),
    "noise": data.random_noise(0.1),
    "cutout": data.random_cutout(0.5),
}


def batches(*steps, **options):
    options = {"batch_size": 8, "shuffle": False, **options}
    return [tuple(map(np.asarray, batch)) for batch in data.image_batches(SPLIT, augment=steps, **options)]


def test_batches_without_augmentation():
    first, second, third = batches()
    images, labels, weights = (np.concatenate(parts) for parts in zip(first, second, third, strict=True))
    assert images.dtype == np.float32 and labels.dtype == np.int32
    np.testing.assert_array_equal(images[:20], IMAGES)
    np.testing.assert_array_equal(labels[:20], np.arange(20))
    assert weights.tolist() == [1] * 20 + [0] * 4


def test_each_epoch_has_each_image_once_in_an_order_of_its_own():
    dataset = data.image_batches(SPLIT, batch_size=8, shuffle=True, seed=3)
    epochs = [np.concatenate([labels[weights > 0] for _, labels, weights in dataset]) for _ in range(2)]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs) and epochs[0].tolist() != epochs[1].tolist()
    resumed = data.image_batches(SPLIT, batch_size=8, shuffle=True, seed=3, first_epoch=1)
    assert np.concatenate([labels[weights > 0] for _, labels, weights in resumed]).tolist() == epochs[1].tolist()


@pytest.mark.parametrize("name", STEPS)
def test_a_step_changes_images_by_seed_batch_and_epoch_alone(name):
    step = STEPS[name]
    once, again, other = batches(step, seed=1), batches(step, seed=1, replicas=2), batches(step, seed=2)
    for (images, *_), (same, *_), (different, *_) in zip(once, again, other, strict=True):
        np.testing.assert_array_equal(images, same)
        assert np.abs(images - different).max() > 0
        assert images.min() >= 0 and images.max() <= 255 and images.shape == (8, 12, 10, 3)
    dataset = data.image_batches(SPLIT, batch_size=8, shuffle=False, seed=1, augment=[step])
    first, second = (np.concatenate([np.asarray(images) for images, *_ in dataset]) for _ in range(2))
    assert np.abs(first - second).max() > 0
    resumed = batches(step, seed=1, first_epoch=1)
    np.testing.assert_array_equal(np.concatenate([images for images, *_ in resumed]), second)


def test_two_equal_steps_draw_different_numbers():
    once, twice = batches(data.random_noise(0.1))[0][0], batches(data.random_noise(0.1), data.random_noise(0.1))[0][0]
    inner = (once > 60) & (once < 190) & (IMAGES[:8] > 60) & (IMAGES[:8] < 190)
    assert np.abs((twice - once) - (once - IMAGES[:8]))[inner].max() > 1


def test_nothing_asked_for_changes_nothing():
    steps = (
        data.random_affine(),
        data.random_brightness_contrast(),
        data.random_noise(0.0),
        data.random_cutout(0.0),
        data.random_elastic(0.0),
    )
    np.testing.assert_allclose(batches(*steps)[0][0], IMAGES[:8], atol=0.01)


def moved(step, image):
    split = LabeledImages(np.repeat(image[None].astype(np.uint8), 64, axis=0), np.zeros(64, np.int32))
    ((images, *_),) = data.image_batches(split, batch_size=64, shuffle=False, seed=1, augment=[step])
    return images.numpy()


def dot():
    image = np.zeros((41, 41, 1))
    image[19:22, 33:36] = 255  # at a distance of 14, to the right of the centre
    return image


def places(images):
    """Of each image's dot, relative to the centre: down and right."""
    grid = np.arange(41) - 20
    mass = images[..., 0].sum(axis=(1, 2))
    return np.stack([(images[..., 0].sum(axis=2) @ grid) / mass, (images[..., 0].sum(axis=1) @ grid) / mass], axis=1)


def test_rotation_is_about_the_centre_and_as_far_as_asked():
    found = places(moved(data.random_affine(rotation_degrees=30), dot()))
    np.testing.assert_allclose(np.hypot(*found.T), 14, atol=0.5)
    angles = np.degrees(np.arctan2(found[:, 0], found[:, 1]))
    assert angles.min() < -20 and angles.max() > 20 and np.abs(angles).max() < 31


def test_a_shift_goes_as_far_as_asked():
    found = places(moved(data.random_affine(shift=0.1), dot())) - [0, 14]
    assert np.abs(found).max() < 4.2 and found.min() < -3 and found.max() > 3


def test_zoom_changes_the_distance():
    found = places(moved(data.random_affine(zoom=0.2), dot()))
    assert 14 * 0.79 < found[:, 1].min() < 13 and 15 < found[:, 1].max() < 14 * 1.21
    assert np.abs(found[:, 0]).max() < 0.1


def test_stretching_changes_height_and_width_apart():
    image = dot() + np.rot90(dot(), axes=(0, 1))
    images = moved(data.random_affine(stretch=0.2), image)
    wide, tall = (
        places(images * (np.arange(41) > 25)[:, None])[:, 1],
        places(images * (np.arange(41) < 15)[:, None, None]),
    )
    assert np.corrcoef(wide, -tall[:, 0])[0, 1] < 0.5 and wide.std() > 1 and tall[:, 0].std() > 1


def test_shear_moves_rows_aside():
    image = np.rot90(dot(), axes=(0, 1))  # above the centre
    found = places(moved(data.random_affine(shear=0.3), image))
    np.testing.assert_allclose(found[:, 0], -14, atol=0.1)
    assert 3 < np.abs(found[:, 1]).max() < 14 * 0.31


def test_flip_mirrors_about_half_of_the_images():
    images, *_ = batches(data.random_flip(), seed=4)[0]
    mirrored = [(image == given[:, ::-1]).all() for image, given in zip(images, IMAGES, strict=False)]
    kept = [(image == given).all() for image, given in zip(images, IMAGES, strict=False)]
    assert all(a != b for a, b in zip(mirrored, kept, strict=True)) and 0 < sum(mirrored) < 8


def test_cutout_hides_a_square():
    images = moved(data.random_cutout(0.5), np.full((40, 40, 1), 255))
    hidden = (images == 0).sum(axis=(1, 2, 3))
    assert hidden.max() <= 21**2 and np.median(hidden) > 100
    rows = (images == 0).any(axis=2).sum(axis=1)
    assert rows.max() in (19, 20, 21)


def test_light_changes_the_mean_and_the_spread():
    images = moved(data.random_brightness_contrast(0.2, 0.3), np.tile([[100], [150]], (20, 40))[..., None])
    means, spreads = images.mean(axis=(1, 2, 3)), images.std(axis=(1, 2, 3))
    assert 125 - 52 < means.min() < 100 and 150 < means.max() < 125 + 52
    assert 25 * 0.69 < spreads.min() < 22 and 28 < spreads.max() < 25 * 1.31


def test_a_batch_that_replicas_cannot_share():
    with pytest.raises(UserError, match="batch_size=9, replicas=2"):
        data.image_batches(SPLIT, batch_size=9, shuffle=False, replicas=2)
