"""The committee of text classifiers: shapes, independence, beginnings, and indifference to padding."""

import keras
import numpy as np
import pytest

from tfpar.models import CELLS, POOLINGS, text_classifier

SMALL = dict(vocabulary_size=11, num_classes=3, units=2, embedding_size=4)
TOKENS = np.array([[2, 3, 4, 5, 0, 0], [6, 7, 0, 0, 0, 0], [8, 9, 10, 2, 3, 4]], "int32")


def logits(model, tokens=TOKENS):
    return model(tokens).numpy()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_shapes(cell, bidirectional):
    model = text_classifier(**SMALL, cell=cell, bidirectional=bidirectional, members=2, recurrent_layers=2)
    assert model.output_shape == (None, 2, 3)
    assert (model.inputs[0].shape, model.inputs[0].dtype, model.inputs[0].name) == ((None, None), "int32", "tokens")
    assert logits(model).shape == (3, 2, 3)
    assert logits(text_classifier(**SMALL, cell=cell, bidirectional=bidirectional)).shape == (3, 1, 3)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_changes_nothing(pooling, bidirectional):
    model = text_classifier(**SMALL, pooling=pooling, bidirectional=bidirectional, recurrent_layers=2)
    longer = np.pad(TOKENS, [[0, 0], [0, 4]])
    np.testing.assert_allclose(logits(model, longer), logits(model), atol=1e-6)
    alone = [logits(model, row[row != 0][None])[0] for row in TOKENS]
    np.testing.assert_allclose(alone, logits(model), atol=1e-6)


def test_poolings_differ():
    outputs = [logits(text_classifier(**SMALL, pooling=pooling)) for pooling in POOLINGS]
    for n, one in enumerate(outputs):
        assert all(np.abs(one - other).max() > 1e-6 for other in outputs[:n])


def test_members_are_independent():
    model = text_classifier(**SMALL, members=3)
    before = logits(model)
    changed = [layer for layer in model.layers if layer.name.endswith("_1") and layer.weights]
    assert len(changed) == 3  # embedding, recurrent layer, logits
    for layer in changed:
        layer.set_weights([w + 1 for w in layer.get_weights()])
    after = logits(model)
    np.testing.assert_array_equal(after[:, [0, 2]], before[:, [0, 2]])
    assert np.abs(after[:, 1] - before[:, 1]).max() > 1e-3


def test_members_begin_differently_and_seeds_repeat():
    one, again, other = (text_classifier(**SMALL, members=2, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(logits(one), logits(again))
    assert np.abs(logits(one) - logits(other)).max() > 1e-4
    assert np.abs(logits(one)[:, 0] - logits(one)[:, 1]).max() > 1e-4


def test_the_first_member_is_that_of_an_ensemble_of_one():
    np.testing.assert_allclose(
        logits(text_classifier(**SMALL, members=2))[:, :1], logits(text_classifier(**SMALL)), atol=1e-6
    )


def test_directions_begin_differently():
    layer = text_classifier(**SMALL).get_layer("recurrent_0_0")
    forward, backward = (one.get_weights() for one in (layer.forward_layer, layer.backward_layer))
    assert all(np.abs(a - b).max() > 1e-3 for a, b in zip(forward[:2], backward[:2], strict=True))


def test_token_scores_are_the_last_columns_of_each_member_s_embedding():
    scores = np.random.default_rng(0).normal(size=(11, 2)).astype("float32")
    model = text_classifier(**SMALL, members=2, token_scores=scores)
    for member in range(2):
        (table,) = model.get_layer(f"embedding_{member}").get_weights()
        assert table.shape == (11, 4 + 2)
        np.testing.assert_array_equal(table[1:, 4:], scores[1:])
        np.testing.assert_array_equal(table[0], np.zeros(6))
        assert table[1:, :4].std() == pytest.approx(0.1, abs=0.04)
    assert len(model.get_layer("embedding_0").trainable_weights) == 1


@pytest.mark.parametrize("kind", ["dropout", "input_dropout", "recurrent_dropout", "token_dropout"])
def test_each_dropout_acts_in_training(kind):
    none = dict(dropout=0.0, input_dropout=0.0, recurrent_dropout=0.0, token_dropout=0.0)
    model = text_classifier(**SMALL, **{**none, kind: 0.5})
    assert np.abs(model(TOKENS, training=True) - logits(model)).max() > 1e-4
    undropped = text_classifier(**SMALL, **none)
    np.testing.assert_array_equal(undropped(TOKENS, training=True), logits(undropped))


def test_float32_logits_in_mixed_precision():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        for pooling in POOLINGS:
            model = text_classifier(**SMALL, pooling=pooling, members=2)
            answer = model(TOKENS)
            assert answer.dtype == "float32" and np.isfinite(answer).all()
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("token_scores", [None, np.ones((11, 2), "float32")], ids=["plain", "scored"])
def test_save_and_load(tmp_path, token_scores):
    model = text_classifier(**SMALL, members=2, pooling="attention", token_scores=token_scores)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(logits(keras.saving.load_model(tmp_path / "model.keras")), logits(model))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"cell": "transformer"}, r"`cell`, expected one of \('lstm', 'gru', 'rnn', .*Received: cell='transformer'"),
        ({"pooling": "sum"}, r"`pooling`, expected one of .*Received: pooling='sum'"),
        ({"members": 0}, "`members`, expected a positive integer"),
        ({"recurrent_layers": 0}, "`recurrent_layers`, expected a positive integer"),
        ({"num_classes": 0}, "`num_classes`, expected a positive integer"),
        ({"units": 0}, "`units`, expected a positive integer"),
        ({"dropout": 1.0}, r"expected a number in \[0, 1\)"),
        ({"token_dropout": -1}, r"expected a number in \[0, 1\)"),
    ],
    ids=str,
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        text_classifier(**{**SMALL, **arguments})
