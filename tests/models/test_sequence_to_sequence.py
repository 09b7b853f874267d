"""The training model equals decoding step by step, and beam search finds the best hypotheses."""

import keras
import numpy as np
import pytest

from tfpar.export.conversion.serving import ServingModel
from tfpar.models import Decoder, sequence_to_sequence
from tfpar.tasks.translation.beam_search import beam_search

VOCABULARY, BEGIN, END = 9, 2, 3
GENERATOR = np.random.default_rng(0)
SOURCE = np.where(np.arange(6) < np.array([[6], [4], [1]]), GENERATOR.integers(4, VOCABULARY, (3, 6)), 0).astype(
    np.int32
)
TARGET = GENERATOR.integers(4, VOCABULARY, (3, 5)).astype(np.int32)

VARIANTS = {
    "luong": {},
    "bahdanau": dict(attention="bahdanau", cell="gru", decoder_layers=2),
    "multi_head": dict(attention="multi_head", encoder_layers=2, layer_norm=True, tied=False),
    "input_feeding": dict(input_feeding=True),
    "input_feeding_stacked": dict(input_feeding=True, cell="gru", attention="bahdanau", decoder_layers=2),
}


@pytest.fixture(scope="module", params=VARIANTS)
def models(request):
    keras.utils.set_random_seed(0)
    options = dict(vocabulary_size=VOCABULARY, units=8, embedding_size=6, seed=1)
    made = sequence_to_sequence(**options, **VARIANTS[request.param])
    # Untrained networks are nearly indifferent; these have opinions.
    for variable in made.model.trainable_variables:
        variable.assign(3 * variable)
    return made


def functions_of(models):
    """`encode` and `decode_step` as functions of named arrays."""

    encoder, decoder_step = ServingModel(models.encoder), ServingModel(models.decoder_step)

    def encode(**inputs):
        return encoder.outputs(inputs)

    def decode_step(**inputs):
        return decoder_step.outputs({name: inputs[name] for name in decoder_step.input_names})

    return encode, decode_step


def test_all_steps_at_once_are_one_after_the_other(models):
    logits = models.model([SOURCE, TARGET])
    encode, decode_step = functions_of(models)
    states = encode(source=SOURCE)
    constants = {"source": SOURCE, **{name: states.pop(name) for name in ("memory", "keys")}}
    for t in range(TARGET.shape[1]):
        outputs = decode_step(token=TARGET[:, t : t + 1], **constants, **states)
        states = {name: outputs[f"new_{name}"] for name in states}
        np.testing.assert_allclose(outputs["log_probabilities"], keras.ops.log_softmax(logits[:, t]), atol=2e-5)


def test_padding_of_the_source_changes_nothing(models):
    longer = np.pad(SOURCE, ((0, 0), (0, 3)))
    np.testing.assert_allclose(models.model([longer, TARGET]), models.model([SOURCE, TARGET]), atol=2e-5)


@pytest.mark.parametrize("beam_size, coverage_penalty", [(1, 0.0), (3, 0.0), (3, 0.4)])
def test_searches_of_tensorflow_and_of_numpy_agree(models, beam_size, coverage_penalty):
    options = dict(begin_id=BEGIN, end_id=END, beam_size=beam_size, max_length=7, length_penalty=0.6)
    options["coverage_penalty"] = coverage_penalty
    tokens, ranks = Decoder(models, **options)(SOURCE)
    for row, source in enumerate(SOURCE):
        source = source[source > 0][None]
        found = beam_search(*functions_of(models), source, **options)
        np.testing.assert_allclose(ranks[row], [one.rank for one in found], rtol=1e-4)
        assert [one.tokens.tolist() for one in found] == [
            ids[: len(one.tokens)].tolist() for ids, one in zip(tokens[row].numpy(), found, strict=True)
        ]
        assert all(not ids[len(one.tokens) :].any() for ids, one in zip(tokens[row].numpy(), found, strict=True))
        np.testing.assert_allclose(found[0].alignment.sum(axis=1), 1, atol=1e-5)


def test_a_beam_as_wide_as_the_vocabulary_finds_the_best_of_all(models):
    """Of all translations of at most two tokens, by their log-probabilities; no beam is wide enough to lose one."""
    encode, decode_step = functions_of(models)
    source = SOURCE[1:2, :4]
    options = dict(begin_id=BEGIN, end_id=END, beam_size=VOCABULARY, max_length=2, length_penalty=0.0)
    best = beam_search(encode, decode_step, source, **options)[0]

    first, second = (side.ravel() for side in np.mgrid[:VOCABULARY, :VOCABULARY])
    targets = np.stack([np.full_like(first, BEGIN), first], axis=1).astype(np.int32)
    steps = np.asarray(keras.ops.log_softmax(models.model([np.repeat(source, len(targets), axis=0), targets])))
    rows = np.arange(len(targets))
    totals = steps[rows, 0, first] + np.where(first == END, 0.0, steps[rows, 1, second])
    assert best.rank == pytest.approx(totals.max(), abs=1e-4)


def test_greedy_takes_the_likeliest_token_at_each_step(models):
    tokens, _ = Decoder(models, begin_id=BEGIN, end_id=END, beam_size=1, max_length=4, jit_compile=False)(SOURCE)
    for source, found in zip(SOURCE, tokens.numpy()[:, 0], strict=True):
        given = [BEGIN]
        for token in found:
            if given[-1] == END:
                assert token == 0
                break
            logits = np.asarray(models.model([source[None], np.array([given], np.int32)]))[0, -1]
            assert token == np.argmax(logits)
            given.append(token)


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(cell="rnn"), "argument `cell`"),
        (dict(attention="self"), "argument `attention`"),
        (dict(units=12), "`units` must be a multiple of 8; got 12"),
        (dict(decoder_layers=0), "decoder_layers"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(ValueError, match=words):
        sequence_to_sequence(**{"vocabulary_size": 9, "units": 8, **options})
