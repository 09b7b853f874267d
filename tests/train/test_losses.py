"""Loss weights of microbatches, so that their means combine into the mean of the batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpar.train.losses import BatchLossWeights, compute_microbatch_loss, loss_weight, needs_batch_weights
from tfpar.train.step_context import step_context

pytestmark = pytest.mark.timeout(120)

ROWS, TIME, CLASSES = 6, 4, 3
RANDOM = np.random.default_rng(0)
Y = RANDOM.integers(0, CLASSES, (ROWS, TIME))
VALID = np.arange(TIME) < np.array([4, 1, 3, 2, 1, 4])[:, None]
STEP_WEIGHTS = RANDOM.uniform(0.5, 2.0, (ROWS, TIME)).astype("float32")
MEAN_WITH_WEIGHT = "mean_with_sample_weight"


def cross_entropy(**arguments):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **arguments)


class OwnReduction(keras.losses.Loss):
    """Loss that reduces in a way of its own."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        return keras.ops.mean(keras.ops.square(y_pred))

    def call(self, y_true, y_pred):
        raise AssertionError("must not be called")


def logits(rows=slice(None), masked=False):
    made = tf.constant(np.random.default_rng(1).normal(size=(ROWS, TIME, CLASSES)).astype("float32")[rows])
    if masked:
        made._keras_mask = tf.constant(VALID[rows])
    return made


# loss, is the output masked, sample weights, weight of the loss
TABLE = {
    "rows": (cross_entropy, False, None, ROWS),
    "mask": (cross_entropy, True, None, VALID.sum()),
    "ignored_class": (lambda: cross_entropy(ignore_class=0), False, None, (Y != 0).sum()),
    "ignored_class_and_mask": (lambda: cross_entropy(ignore_class=0), True, None, ((Y != 0) & VALID).sum()),
    "weights_that_only_scale": (cross_entropy, False, STEP_WEIGHTS, ROWS),
    "weights_that_only_scale_and_mask": (cross_entropy, True, STEP_WEIGHTS, VALID.sum()),
    "weights": (lambda: cross_entropy(reduction=MEAN_WITH_WEIGHT), False, STEP_WEIGHTS, STEP_WEIGHTS.sum()),
    "weights_and_mask": (
        lambda: cross_entropy(reduction=MEAN_WITH_WEIGHT),
        True,
        STEP_WEIGHTS,
        (STEP_WEIGHTS * VALID).sum(),
    ),
    "no_weights": (lambda: cross_entropy(reduction=MEAN_WITH_WEIGHT), False, None, ROWS),
    "own_reduction": (OwnReduction, True, None, ROWS),
}


@pytest.mark.parametrize("loss, masked, weights, expected", TABLE.values(), ids=TABLE)
def test_loss_weight(loss, masked, weights, expected):
    weight = loss_weight(loss(), Y, logits(masked=masked), weights)
    assert weight.dtype == tf.float32
    assert float(weight) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("name", [name for name in TABLE if name != "own_reduction"])
def test_means_of_microbatches_combine_into_the_mean_of_the_batch(name):
    make, masked, weights, _ = TABLE[name]
    loss = make()
    whole = loss(Y, logits(masked=masked), weights)
    sums, total = 0.0, 0.0
    for rows in (slice(0, 1), slice(1, 4), slice(4, 6)):
        y_pred = logits(rows, masked)
        own = None if weights is None else weights[rows]
        weight = loss_weight(loss, Y[rows], y_pred, own)
        sums, total = sums + weight * loss(Y[rows], logits(rows, masked), own), total + weight
    assert float(sums / total) == pytest.approx(float(whole), rel=1e-5)


@pytest.mark.parametrize("reduction", ["sum", "sum_over_batch_size", MEAN_WITH_WEIGHT])
@pytest.mark.parametrize("losses", [1, 2])
def test_several_losses_and_sums_need_the_weights_of_the_whole_batch(losses, reduction):
    x = keras.Input((2,))
    model = keras.Model(x, [keras.layers.Dense(1)(x) for _ in range(losses)])
    model.compile(loss=[keras.losses.MeanSquaredError(reduction) for _ in range(losses)])
    model._compile_loss.build([np.ones((1, 1))] * losses, [np.ones((1, 1))] * losses)
    assert needs_batch_weights(model._compile_loss) == (losses > 1 or reduction == "sum")


def test_an_own_loss_function_needs_none():
    assert not needs_batch_weights(None)


def test_a_loss_without_a_keras_loss_is_weighted_by_its_rows():
    loss = compute_microbatch_loss(lambda: tf.constant(3.0), None, {"a": np.ones((5, 2)), "b": None})
    assert (float(loss.value), float(loss.weight), [float(w) for w in loss.weights]) == (3.0, 5.0, [5.0])


def test_with_batch_weights_all_microbatches_have_the_same_weight():
    with step_context(loss_weights=BatchLossWeights(tf.constant([4.0]), tf.constant(12.0), 3)):
        loss = compute_microbatch_loss(lambda: tf.constant(3.0), None, np.ones((5, 2)))
    assert float(loss.weight) == 4.0
    assert float(compute_microbatch_loss(lambda: tf.constant(3.0), None, np.ones((5, 2))).weight) == 5.0
