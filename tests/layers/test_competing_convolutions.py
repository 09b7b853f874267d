"""`CompetingConvolutions` against the definition in NumPy, on padded series, and after saving."""

import keras
import numpy as np
import pytest

from tfpar import layers


@pytest.fixture
def series():
    return np.random.default_rng(0).normal(size=(3, 40, 2)).astype("float32")


def compute_features(layer, one):
    """Compute the features of one series by loops over steps and kernels, from the layer's weights."""
    steps, features = len(one), []
    differences = np.concatenate([np.zeros((1, one.shape[1])), np.diff(one, axis=0)])
    for number, weights in enumerate(w.numpy() for w in layer.weights):
        dilation = 2 ** (number // 2)
        padded = np.pad((one, differences)[number % 2], ((4 * dilation, 4 * dilation), (0, 0)))
        seen = [padded[step : step + 9 * dilation : dilation] for step in range(steps)]
        outputs = np.einsum("stc,tck->sk", seen, weights).reshape(steps, layer.groups, layer.kernels)
        wins, losses = np.zeros((2, layer.groups, layer.kernels))
        for step in range(steps):
            for group in range(layer.groups):
                of_group = outputs[step, group]
                wins[group, of_group.argmax()] += max(0, of_group.max()) / steps
                losses[group, of_group.argmin()] += 1 / steps
        features += [wins.ravel(), losses.ravel()]
    features = np.sqrt(np.concatenate(features))
    return 10 * features / np.sqrt(len(features))


def test_features_are_those_of_the_definition(series):
    layer = layers.CompetingConvolutions(groups=2, kernels=4, seed=3)
    features = layer(series).numpy()
    assert features.shape == (3, 3 * 4 * 8)  # dilations 1, 2 and 4
    np.testing.assert_allclose(features, [compute_features(layer, one) for one in series], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose([np.abs(w.numpy()).sum(axis=(0, 1)).max() for w in layer.weights], 1, rtol=1e-5)
    assert not layer.trainable_weights


def test_padding_and_unseen_channels_have_no_effect(series):
    layer = layers.CompetingConvolutions(groups=2, kernels=4, channels=1)
    mask = np.arange(40)[None] < np.full((3, 1), 30)
    other = series.copy()
    other[:, 30:], other[:, :, 1] = 9, -9
    np.testing.assert_allclose(layer(series, mask=mask), layer(other, mask=mask), atol=1e-6)
    assert np.abs(layer(series) - layer(series, mask=mask)).max() > 1e-3


def test_kernels_are_saved(series, tmp_path):
    model = keras.Sequential([keras.Input((40, 2)), layers.CompetingConvolutions(groups=1, kernels=4, seed=5)])
    model.layers[0].weights[0].assign(model.layers[0].weights[0] * 2)
    model.save(tmp_path / "m.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "m.keras")(series), model(series))
    with pytest.raises(ValueError, match="`series` must have a static number of steps"):
        layers.CompetingConvolutions()(keras.Input((None, 2)))
