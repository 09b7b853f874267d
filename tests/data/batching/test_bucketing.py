"""Buckets: the fewest shapes with the least padding, each example once an epoch."""

import itertools

import numpy as np
import pytest

from tfpar.data.batching.bucketing import bucket_boundaries, bucketed_batches, input_order, padding_fraction, plan_epoch
from tfpar.errors import UserError


def fed(lengths, boundaries, batch_size) -> int:
    """Positions fed, counted batch by batch."""
    return sum(boundary * batch_size for boundary, _ in plan_epoch(lengths, boundaries, batch_size))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("batch_size", [1, 3])
def test_boundaries_are_the_best_there_are(seed, batch_size):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 30, rng.integers(1, 25))
    multiple, most = int(rng.integers(1, 6)), int(rng.integers(1, 5))
    found = bucket_boundaries(lengths, most, multiple, batch_size)
    rounded = np.unique(-(-lengths // multiple) * multiple).tolist()
    every = [
        (*lower, rounded[-1])
        for count in range(min(most, len(rounded)))
        for lower in itertools.combinations(rounded[:-1], count)
    ]
    assert found in every
    assert fed(lengths, found, batch_size) == min(fed(lengths, boundaries, batch_size) for boundaries in every)


def test_boundaries_of_a_simple_case():
    assert bucket_boundaries([3, 4, 4, 20, 19], max_buckets=2) == (4, 20)
    assert bucket_boundaries([7], multiple=1) == (7,)
    assert bucket_boundaries([5, 5, 5]) == (8,)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9, 40])
@pytest.mark.parametrize("batch_size", [1, 4, 64])
@pytest.mark.parametrize("shuffled", [False, True])
def test_every_example_is_planned_once_in_a_batch_that_holds_it(count, batch_size, shuffled):
    lengths = np.random.default_rng(count).integers(1, 33, count)
    lengths[0] = 33
    boundaries = (2, 8, 9, 33)  # some buckets hold one example or none
    plan = plan_epoch(lengths, boundaries, batch_size, np.random.default_rng(1) if shuffled else None)
    assert sorted(np.concatenate([indices for _, indices in plan])) == list(range(count))
    for boundary, indices in plan:
        assert boundary in boundaries and 1 <= len(indices) <= batch_size
        below = max((limit for limit in boundaries if limit < boundary), default=0)
        assert ((lengths[indices] <= boundary) & (lengths[indices] > below)).all()
    short = [boundary for boundary, indices in plan if len(indices) < batch_size]
    assert len(short) == len(set(short)), "only the last batch of a bucket may be short"


def test_padding_fraction_counts_what_is_fed():
    lengths = [1, 2, 3, 9, 10]
    # Bucket 4 feeds two batches of 2 x 4, bucket 12 one of 2 x 12.
    assert padding_fraction(lengths, (4, 12), 2) == pytest.approx(1 - 25 / 40)


SEQUENCES = [np.arange(10 * n + 1, 10 * n + 1 + length) for n, length in enumerate([3, 1, 8, 2, 5, 4, 7, 3, 3, 6, 8])]
LABELS = [n % 3 for n in range(len(SEQUENCES))]


def batches(**options):
    options = dict(batch_size=4, boundaries=(4, 8), shuffle=True, seed=7) | options
    return bucketed_batches(SEQUENCES, LABELS, **options)


def read(dataset) -> list[tuple[np.ndarray, ...]]:
    return [tuple(part.numpy() for part in batch) for batch in dataset]


def first_tokens(epoch) -> list[list[int]]:
    return [ids[:, 0].tolist() for ids, _, _ in epoch]


def test_an_epoch_feeds_every_example_once_and_fills_up_with_weight_zero():
    epoch = read(batches())
    rows = {}
    for ids, labels, weights in epoch:
        assert ids.shape in {(4, 4), (4, 8)} and ids.dtype == labels.dtype == np.int32 and weights.dtype == np.float32
        for row, label, weight in zip(ids, labels, weights, strict=True):
            if weight:
                rows[int(row[0])] = (row[row > 0].tolist(), int(label))
            else:
                assert row.tolist() == [1] + [0] * (len(row) - 1) and label == 0
    assert sum(weights.sum() for _, _, weights in epoch) == len(SEQUENCES)
    assert rows == {int(s[0]): (s.tolist(), label) for s, label in zip(SEQUENCES, LABELS, strict=True)}


def test_a_seed_fixes_every_epoch_and_epochs_differ():
    dataset, same, other = batches(), batches(), batches(seed=8)
    epochs = [first_tokens(read(dataset)) for _ in range(3)]
    assert epochs == [first_tokens(read(same)) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs != [first_tokens(read(other)) for _ in range(3)]
    assert {frozenset(batch) for batch in epochs[0]} != {frozenset(batch) for batch in epochs[1]}, "assigned anew"


def test_a_restart_goes_on_with_its_epoch():
    dataset = batches()
    epochs = [first_tokens(read(dataset)) for _ in range(3)]
    assert first_tokens(read(batches(first_epoch=2))) == epochs[2]


def test_unshuffled_rows_can_be_put_back_in_input_order():
    dataset = batches(shuffle=False)
    assert first_tokens(read(dataset)) == first_tokens(read(dataset))
    fed_tokens = np.concatenate([ids[:, 0] for ids, _, _ in read(dataset)])
    order = input_order([len(sequence) for sequence in SEQUENCES], (4, 8), 4)
    result = np.zeros(len(SEQUENCES), int)
    result[order[order >= 0]] = fed_tokens[order >= 0]
    assert result.tolist() == [sequence[0] for sequence in SEQUENCES]


def test_what_keras_and_xla_need_to_know_is_static():
    dataset = batches()
    assert int(dataset.cardinality()) == len(read(dataset)) == 4
    assert [spec.shape.as_list() for spec in dataset.element_spec] == [[4, None], [4], [4]]
    assert batches(boundaries=(8,)).element_spec[0].shape.as_list() == [4, 8]


def test_the_options_leave_sharding_and_cores_to_others():
    import tensorflow as tf

    options = batches().options()
    assert options.experimental_distribute.auto_shard_policy == tf.data.experimental.AutoShardPolicy.OFF
    assert options.deterministic and options.threading.private_threadpool_size == 2


@pytest.mark.parametrize(
    "options, error, words",
    [
        (dict(batch_size=4, replicas=3), UserError, "multiple of their number; got batch_size=4, replicas=3"),
        (dict(batch_size=0), UserError, "positive multiple"),
        (dict(replicas=0), UserError, "positive multiple"),
        (dict(boundaries=(4,)), ValueError, r"must cover the longest sequence, 8; got \(4,\)"),
        (dict(boundaries=(8, 4)), ValueError, "must be positive and ascend"),
        (dict(boundaries=()), ValueError, "must be positive and ascend"),
        (dict(num_classes=2), ValueError, r"must lie in 0 ... 1; got 0 ... 2"),
    ],
)
def test_wrong_options_are_refused_before_anything_starts(options, error, words):
    with pytest.raises(error, match=words):
        batches(**options)


@pytest.mark.parametrize(
    "sequences, labels, words",
    [
        ([[1], []], [0, 0], "sequence 1 has none"),
        ([], [], "one length per sequence"),
        ([[1], [2]], [0], "one whole number per sequence, 2"),
        ([[1], [2]], [0.0, 1.0], "one whole number per sequence"),
    ],
)
def test_wrong_data_are_refused(sequences, labels, words):
    with pytest.raises(ValueError, match=words):
        bucketed_batches(sequences, labels, batch_size=1, boundaries=(4,), shuffle=False)


def test_wrong_arguments_of_the_planners():
    with pytest.raises(ValueError, match="`max_buckets` must be 1 or more"):
        bucket_boundaries([1], max_buckets=0)
    with pytest.raises(ValueError, match="sequence 0 has none"):
        bucket_boundaries([0])
    with pytest.raises(ValueError, match="`batch_size` must be 1 or more"):
        plan_epoch([1], (1,), 0)
