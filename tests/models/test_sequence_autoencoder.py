"""The sequence autoencoder learns to repeat, and hands its weights to the classifier."""

import keras
import numpy as np
import pytest

from tfpar.models import initialize_from_autoencoder, sequence_autoencoder, text_classifier

SMALL = dict(vocabulary_size=6, num_classes=2, units=12, embedding_size=8, input_dropout=0.0)
TOKENS = np.random.default_rng(0).integers(2, 6, (16, 4)).astype("int32")
TOKENS[::2, 3:] = 0


def cross_entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_learns(cell, bidirectional):
    autoencoder = sequence_autoencoder(text_classifier(**SMALL, cell=cell, bidirectional=bidirectional))
    directions = 2 if bidirectional else 1
    assert autoencoder.output_shape in ((None, None, 6), [(None, None, 6)] * directions)
    autoencoder.compile(keras.optimizers.Adam(0.02), [cross_entropy() for _ in range(directions)], jit_compile=False)
    history = autoencoder.fit(TOKENS, [TOKENS] * directions, batch_size=16, epochs=80, verbose=0).history["loss"]
    assert history[-1] < directions * np.log(4) / 2, "guessing among the four tokens costs log 4 in each direction"


@pytest.mark.parametrize("bidirectional", [False, True])
def test_initializes(bidirectional):
    classifier = text_classifier(**SMALL, cell="lstm", bidirectional=bidirectional, members=2)
    autoencoder = sequence_autoencoder(classifier)
    before = classifier(TOKENS).numpy()
    initialize_from_autoencoder(classifier, autoencoder)
    for member in range(2):
        embedding, recurrent = (classifier.get_layer(f"{name}_{member}") for name in ("embedding", "recurrent_0"))
        assert_same_weights(embedding, autoencoder.get_layer("embedding"))
        if bidirectional:
            assert_same_weights(recurrent.forward_layer, autoencoder.get_layer("forward"))
            assert_same_weights(recurrent.backward_layer, autoencoder.get_layer("backward"))
        else:
            assert_same_weights(recurrent, autoencoder.get_layer("forward"))
    assert np.abs(classifier(TOKENS) - before).max() > 1e-4


def assert_same_weights(one, other):
    assert len(one.get_weights()) == len(other.get_weights()) > 0
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_token_is_not_seen_by_the_decoder_before_it_is_written(bidirectional):
    """With the encoder's states cut off (a first layer without memory of the source), only earlier tokens count."""
    classifier = text_classifier(**SMALL, cell="rnn", bidirectional=bidirectional)
    autoencoder = sequence_autoencoder(classifier)
    for name in ["forward", "backward"][: 2 if bidirectional else 1]:
        layer = autoencoder.get_layer(name)
        kernel, recurrent_kernel, bias = layer.get_weights()
        layer.set_weights([kernel, 0 * recurrent_kernel, bias])
    changed = TOKENS.copy()
    changed[1, 2] = 2 + (changed[1, 2] - 1) % 4
    difference = [
        np.abs(np.asarray(a) - np.asarray(b))[1].max(axis=-1) > 1e-6
        for a, b in zip(*(_as_list(autoencoder(t)) for t in (TOKENS, changed)), strict=True)
    ]
    expected = [[False, False, False, True], [False, True, False, False]]
    np.testing.assert_array_equal(difference, expected[: len(difference)])


def _as_list(outputs):
    return outputs if isinstance(outputs, list) else [outputs]
