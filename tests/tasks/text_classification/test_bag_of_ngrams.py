"""A linear model of words and bigrams, from its equation."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import tfpar
from tfpar.export.conversion.interpreter import TFLiteModel
from tfpar.tasks.text_classification import BagOfNgrams

VOCABULARY, CLASSES = 300, 2
BIGRAMS = np.array([[5, 6], [6, 5], [7, 7], [299, 298]])
TOKENS = np.array([[5, 6, 5, 1, 9], [7, 7, 7, 0, 0], [6, 8, 6, 0, 0], [299, 298, 2, 3, 4], [0, 0, 0, 0, 0]], np.int32)


def scores():
    return np.random.default_rng(0).normal(size=(VOCABULARY + len(BIGRAMS), CLASSES)).astype(np.float32)


def built(**options):
    slots = BagOfNgrams.slots_for(BIGRAMS)
    layer = BagOfNgrams(CLASSES, VOCABULARY, slots=slots, bigrams=BIGRAMS, scores=scores(), **options)
    layer(TOKENS)
    layer.bias.assign([0.5, -0.25])
    return layer


def expected():
    known = {tuple(pair): VOCABULARY + number for number, pair in enumerate(BIGRAMS.tolist())}
    answers = []
    for row in TOKENS.tolist():
        features = [token for token in row if token > 1]
        features += [known[pair] for pair in zip(row[:-1], row[1:], strict=True) if pair in known]
        total = scores()[features].sum(axis=0) if features else np.zeros(CLASSES)
        answers.append(total / np.sqrt(max(1, len(features))) + [0.5, -0.25])
    return np.array(answers)


def test_equation():
    np.testing.assert_allclose(built()(TOKENS), expected(), atol=1e-5)


def test_padding_has_no_part():
    padded = np.pad(TOKENS, ((0, 0), (0, 7)))
    np.testing.assert_allclose(built()(padded), expected(), atol=1e-5)


def test_of_two_bigrams_in_a_slot_the_first_stays():
    slots = 7
    number = int(BIGRAMS[0] @ [VOCABULARY, 1])
    both = np.array([BIGRAMS[0], divmod(number + slots, VOCABULARY)], np.int32)
    drawn = scores()[: VOCABULARY + 2]
    drawn[:VOCABULARY] = 0
    layer = BagOfNgrams(CLASSES, VOCABULARY, slots=slots, bigrams=both, scores=drawn)
    answers = layer(both).numpy()
    np.testing.assert_allclose(answers[0], drawn[VOCABULARY] / np.sqrt(3), atol=1e-5)
    np.testing.assert_array_equal(answers[1], 0)


def test_dropout_is_for_training_alone_and_keeps_the_mean():
    layer = built(dropout=0.5, seed=1)
    np.testing.assert_allclose(layer(TOKENS), expected(), atol=1e-5)
    many = layer(np.tile(TOKENS, (300, 1)), training=True).numpy().reshape(300, len(TOKENS), -1)
    assert not np.allclose(many[0], expected(), atol=1e-3)
    np.testing.assert_allclose(many.mean(axis=0), expected(), atol=0.4)


def test_is_saved_with_its_table(tmp_path):
    tokens = keras.Input((5,), dtype="int32")
    model = keras.Model(tokens, built()(tokens))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(TOKENS), expected(), atol=1e-5)


@pytest.mark.parametrize("name", ["float32", "float16", "dynamic", "int8"])
def test_a_file_holds_its_keys_in_16_bits_and_answers_alike(name, tmp_path):
    tokens = keras.Input((5,), dtype="int32", name="tokens")
    model = keras.Model(tokens, keras.layers.Activation("linear", name="answer")(built()(tokens)))
    path = tmp_path / "model.tflite"
    report = tfpar.export.tflite(model, path, name, calibration={"tokens": TOKENS})
    assert not [op for op in report["ops"] if op.startswith("Flex")]
    file = TFLiteModel(path)
    found = np.concatenate([file(tokens=row[None])["answer"] for row in TOKENS])
    np.testing.assert_allclose(found, expected(), atol={"float32": 1e-5, "float16": 5e-3}.get(name, 0.1))
    slots = BagOfNgrams.slots_for(BIGRAMS)
    kept = [d["dtype"] for d in Interpreter(str(path)).get_tensor_details() if d["shape"].tolist() == [slots]]
    assert np.int16 in kept and np.int32 not in kept


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"classes": 0}, "`classes`"),
        ({"vocabulary_size": 46_341}, "46340"),
        ({"slots": 0}, "`slots`"),
        ({"dropout": 1.5}, "`dropout`"),
    ],
)
def test_bad_arguments(arguments, words):
    with pytest.raises(ValueError, match=words):
        BagOfNgrams(**{"classes": 2, "vocabulary_size": 9, **arguments})
