"""Batches of pairs: few shapes, little padding, each pair once an epoch."""

import itertools

import numpy as np
import pytest

from tfpar.errors import UserError
from tfpar.tasks.translation import translation_batches, translation_boundaries, translation_padding_fraction
from tfpar.tasks.translation.buckets import find_buckets
from tfpar.tasks.translation.epoch_plan import plan_pairs, rows_per_batch


def lengths_of(seed: int, pairs: int, longest: int = 9) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    sources = rng.integers(1, longest, pairs)
    return sources, np.clip(sources + rng.integers(-2, 3, pairs), 1, None)


def padded(sources, targets, boundaries) -> int:
    """Positions of all pairs, each in the cheapest shape that holds it."""
    return sum(
        min(s + t for s, t in boundaries if source <= s and target < t)
        for source, target in zip(sources, targets, strict=True)
    )


@pytest.mark.parametrize("seed", range(10))
def test_boundaries_are_the_best_chain_there_is(seed):
    sources, targets = lengths_of(seed, pairs=20, longest=6)
    largest = (int(sources.max()), int(targets.max()) + 1)
    shapes = list(itertools.product(range(1, largest[0] + 1), range(2, largest[1] + 1)))
    most = 1 + seed % 3
    chains = [
        (*lower, largest)
        for count in range(most)
        for lower in itertools.combinations([shape for shape in shapes if shape != largest], count)
        if all(a <= c and b <= d for (a, b), (c, d) in itertools.pairwise(lower))
    ]
    found = translation_boundaries(sources, targets, most)
    assert len(found) <= most and found in chains
    assert padded(sources, targets, found) == min(padded(sources, targets, chain) for chain in chains)


def test_boundaries_of_simple_cases():
    assert translation_boundaries([3, 3], [4, 2]) == ((3, 3), (3, 5))
    assert translation_boundaries([3, 3], [4, 2], max_buckets=1) == ((3, 5),)
    assert translation_boundaries([7] * 5, [2] * 5) == ((7, 3),)


def test_long_lengths_are_rounded_up_a_little():
    sources, targets = np.arange(1, 1001), np.arange(1, 1001)
    shapes = np.array(translation_boundaries(sources, targets, max_buckets=500))
    assert set(range(1, 33)) <= set(shapes[:, 0]) and len(set(shapes[:, 0])) < 80
    assert (1000, 1001) <= tuple(shapes[-1]) <= (1125, 1126)


def test_a_pair_goes_to_the_first_shape_that_holds_it():
    boundaries = ((2, 3), (2, 6), (5, 6))
    assert find_buckets([1, 2, 2, 3, 5], [1, 2, 3, 1, 5], boundaries).tolist() == [0, 0, 1, 2, 2]


@pytest.mark.parametrize("pairs", [1, 2, 15, 16, 17, 33, 200])
@pytest.mark.parametrize("shuffled", [False, True])
def test_every_pair_is_planned_once_in_a_batch_that_holds_it(pairs, shuffled):
    sources, targets = lengths_of(pairs, pairs)
    boundaries = ((2, 3), (3, 5), (8, 8), (20, 20))
    rows = rows_per_batch(boundaries, tokens_per_batch=320)
    buckets = find_buckets(sources, targets, boundaries)
    plan = plan_pairs(buckets, boundaries, rows, np.random.default_rng(1) if shuffled else None)
    assert sorted(np.concatenate([indices for _, indices in plan])) == list(range(pairs))
    for bucket, indices in plan:
        assert 1 <= len(indices) <= rows[bucket] and (buckets[indices] <= bucket).all()
    again = plan_pairs(buckets, boundaries, rows, np.random.default_rng(2) if shuffled else None)
    assert sorted(bucket for bucket, _ in plan) == sorted(bucket for bucket, _ in again), "in every epoch"


def test_what_is_left_over_moves_on_where_that_feeds_less():
    boundaries, rows = ((4, 4), (5, 5), (50, 50)), np.array([16, 16, 16])
    # One of 17 moves on to the next shape; there, 17 of 17 would rather fill up than grow tenfold.
    plan = plan_pairs(np.array([0] * 17 + [1] * 25), boundaries, rows)
    assert [(bucket, len(indices)) for bucket, indices in plan] == [(0, 16), (1, 16), (1, 10)]


def test_rows_fill_the_tokens_and_are_split_evenly():
    shapes = ((4, 6), (10, 7), (50, 64))
    assert rows_per_batch(shapes, 1100).tolist() == [176, 96, 16]
    for replicas in (2, 4, 8):
        assert rows_per_batch(shapes, 1100, replicas).tolist() == [176, 96, 16]
    assert rows_per_batch(shapes, 5000, replicas=3).tolist() == [816, 480, 48]


def sequences(side: int) -> list[np.ndarray]:
    lengths = lengths_of(seed=5, pairs=150)[side]
    return [1000 * side + 4 + np.arange(length) + 10 * n for n, length in enumerate(lengths)]


SOURCES, TARGETS = sequences(0), sequences(1)
BOUNDARIES = translation_boundaries([len(ids) for ids in SOURCES], [len(ids) for ids in TARGETS], 3)


def batches(**options):
    options = dict(tokens_per_batch=200, boundaries=BOUNDARIES, shuffle=True, seed=7) | options
    return translation_batches(SOURCES, TARGETS, **options)


def read(dataset) -> list[list[np.ndarray]]:
    return [
        [part.numpy() for part in (source, target_in, target_out, weights)]
        for (source, target_in), target_out, weights in dataset
    ]


def same(one, other) -> bool:
    return len(one) == len(other) and all(
        np.array_equal(a, b) for left, right in zip(one, other, strict=True) for a, b in zip(left, right, strict=True)
    )


def test_an_epoch_feeds_every_pair_once_and_fills_up_with_weight_zero():
    seen, rows_of_shape = [], dict(zip(BOUNDARIES, rows_per_batch(BOUNDARIES, 200).tolist(), strict=True))
    for source, target_in, target_out, weights in read(batches()):
        shape = (source.shape[1], target_in.shape[1])
        assert len(source) == rows_of_shape[shape]
        assert target_in.shape == target_out.shape == weights.shape
        assert source.dtype == target_in.dtype == target_out.dtype == np.int32 and weights.dtype == np.float32
        for row in range(len(source)):
            length = int(weights[row].sum())
            if length:
                target = target_out[row, : length - 1].tolist()
                assert target_in[row].tolist() == [2, *target] + [0] * (shape[1] - length)
                assert target_out[row].tolist() == [*target, 3] + [0] * (shape[1] - length)
                assert weights[row].tolist() == [1] * length + [0] * (shape[1] - length)
                seen.append((np.trim_zeros(source[row]).tolist(), target))
            else:
                assert np.trim_zeros(source[row]).tolist() == [1] and np.trim_zeros(target_in[row]).tolist() == [2]
    assert sorted(seen) == sorted((s.tolist(), t.tolist()) for s, t in zip(SOURCES, TARGETS, strict=True))


def test_weights_count_the_tokens_of_the_targets_and_their_ends():
    total = sum(weights.sum() for *_, weights in read(batches()))
    assert total == sum(map(len, TARGETS)) + len(TARGETS)


def test_the_padding_fraction_is_what_is_fed():
    fed = sum(source.size + target_in.size for source, target_in, _, _ in read(batches()))
    tokens = sum(map(len, SOURCES)) + sum(map(len, TARGETS)) + len(TARGETS)
    lengths = [len(ids) for ids in SOURCES], [len(ids) for ids in TARGETS]
    assert translation_padding_fraction(*lengths, BOUNDARIES, 200) == pytest.approx(1 - tokens / fed)


def test_all_usual_numbers_of_replicas_get_the_same_batches():
    one = read(batches(replicas=1))
    for replicas in (2, 4, 8):
        assert same(one, read(batches(replicas=replicas)))
    assert all(len(source) % 16 == 0 for source, *_ in one)


def test_a_seed_fixes_every_epoch_and_epochs_differ():
    dataset = batches()
    first, second = read(dataset), read(dataset)
    assert not same(first, second) and not same(first, read(batches(seed=8)))
    assert same(first, read(batches())) and same(second, read(batches(first_epoch=1)))
    assert {frozenset(source[:, 0]) for source, *_ in first} != {frozenset(source[:, 0]) for source, *_ in second}


def test_without_shuffling_epochs_are_the_same():
    dataset = batches(shuffle=False)
    assert same(read(dataset), read(dataset))


def test_what_keras_and_xla_need_to_know_is_static():
    dataset = batches()
    assert len(dataset) == len(read(dataset))
    assert len({(source.shape, target_in.shape) for source, target_in, *_ in read(dataset)}) == len(BOUNDARIES)
    (source, target_in), target_out, weights = batches(boundaries=BOUNDARIES[-1:]).element_spec
    rows = int(rows_per_batch(BOUNDARIES[-1:], 200)[0])
    assert source.shape.as_list() == [rows, BOUNDARIES[-1][0]]
    assert [spec.shape.as_list() for spec in (target_in, target_out, weights)] == [[rows, BOUNDARIES[-1][1]]] * 3


@pytest.mark.parametrize(
    "options, error, words",
    [
        (dict(tokens_per_batch=100), UserError, r"`tokens_per_batch` must be 176 or more, for 16 rows .*; got 100"),
        (dict(replicas=0), UserError, "`replicas` must be 1 or more; got 0"),
        (dict(boundaries=((4, 4),)), ValueError, "must cover the longest sides"),
        (dict(boundaries=((9, 9), (4, 20))), ValueError, "must hold the one before and more"),
        (dict(boundaries=((9, 12), (9, 12))), ValueError, "must hold the one before and more"),
        (dict(boundaries=()), ValueError, "must be pairs of positive lengths"),
        (dict(boundaries=(4, 8)), ValueError, "must be pairs of positive lengths"),
    ],
)
def test_wrong_options_are_refused_before_anything_starts(options, error, words):
    with pytest.raises(error, match=words):
        batches(**options)


@pytest.mark.parametrize(
    "sources, targets, words",
    [
        ([[1], []], [[1], [1]], "sequence 1 has none"),
        ([[1]], [[]], "sequence 0 has none"),
        ([[1], [1]], [[1]], "as many sources as targets; got 2 and 1"),
        ([], [], "one length per sequence"),
    ],
)
def test_wrong_data_are_refused(sources, targets, words):
    with pytest.raises(ValueError, match=words):
        translation_batches(sources, targets, tokens_per_batch=64, boundaries=((4, 4),), shuffle=False)


def test_wrong_number_of_buckets():
    with pytest.raises(ValueError, match="`max_buckets` must be 1 or more; got 0"):
        translation_boundaries([1], [1], max_buckets=0)
