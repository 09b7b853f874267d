import keras
import numpy as np
import pytest

from tfpar import layers

GENERATOR = np.random.default_rng(0)
SERIES = GENERATOR.normal(3, 2, (4, 6, 3)).astype("float32")
LENGTHS = np.array([6, 2, 0, 3])
MASK = np.arange(6) < LENGTHS[:, None]
STATISTICS = ("moving_mean", "moving_variance")


def test_unmasked_it_is_the_layer_of_keras():
    ours, theirs = layers.BatchNormalization(0.7), keras.layers.BatchNormalization(momentum=0.7)
    for training in (True, True, False):
        np.testing.assert_allclose(
            ours(SERIES, training=training), theirs(SERIES, training=training), rtol=1e-5, atol=1e-5
        )
    for ours_value, theirs_value in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(ours_value, theirs_value, rtol=1e-5, atol=1e-6)


def test_masked_steps_are_no_part_of_the_statistics():
    masked, valid = layers.BatchNormalization(), layers.BatchNormalization()
    poisoned = np.where(MASK[..., None], SERIES, np.nan)
    outputs = masked(poisoned, training=True, mask=MASK).numpy()
    np.testing.assert_allclose(outputs[MASK], valid(SERIES[MASK], training=True), rtol=1e-5, atol=1e-5)
    for name in STATISTICS:
        np.testing.assert_allclose(getattr(masked, name), getattr(valid, name), rtol=1e-5)


def test_a_batch_without_a_valid_step_changes_nothing():
    layer = layers.BatchNormalization()
    layer(SERIES, training=True)
    before = [getattr(layer, name).numpy() for name in STATISTICS]
    outputs = layer(SERIES, training=True, mask=np.zeros_like(MASK))
    assert np.isfinite(outputs).all()
    np.testing.assert_array_equal(before, [getattr(layer, name).numpy() for name in STATISTICS])


@pytest.mark.parametrize("trainable", [True, False])
def test_it_is_frozen_as_the_layer_of_keras_is(trainable):
    layer = layers.BatchNormalization()
    layer(SERIES, training=False)
    layer.trainable = trainable
    layer(SERIES, training=True)
    assert (np.abs(layer.moving_mean).max() > 0.1) == trainable


@pytest.mark.parametrize("options", [{"axis": 1}, {"renorm": True}])
def test_what_it_does_not_compute_is_refused(options):
    with pytest.raises(ValueError, match="`axis` must be -1 and `renorm` False; got"):
        layers.BatchNormalization(**options)


def test_a_config_restores_it():
    layer = layers.BatchNormalization(0.8, epsilon=1e-2, name="norm")
    config = layers.BatchNormalization.from_config(layer.get_config()).get_config()
    assert config == layer.get_config() and (config["momentum"], config["synchronized"]) == (0.8, True)


def test_a_convolution_normalizes_by_the_valid_steps_of_the_batch():
    """How much padding a batch has changes neither the outputs nor the moving statistics."""
    short, long = (layers.MaskedConvolution(4, 3, normalization="batch", seed=1) for _ in range(2))
    padded = np.pad(SERIES, [(0, 0), (0, 5), (0, 0)])
    np.testing.assert_allclose(
        short(SERIES, mask=MASK, training=True).numpy()[MASK],
        long(padded, mask=np.pad(MASK, [(0, 0), (0, 5)]), training=True).numpy()[:, :6][MASK],
        rtol=1e-5,
        atol=1e-5,
    )
    for one, two in zip(short.get_weights(), long.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="argument `normalization`"):
        layers.MaskedConvolution(4, 3, normalization="group")
