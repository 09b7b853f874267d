"""Steps whose loss or gradients are not finite are skipped; then training stops, or goes back to a checkpoint."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from training import X, Y, dense

import tfpar
from tfpar.errors import DivergedError
from tfpar.train import Checkpoints, Model, NonFiniteGuard

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
WARNINGS = "ignore:The loss or a gradient is not finite"


def make(optimizer=None, lanes=1, jit_compile=False):
    keras.utils.set_random_seed(5)
    model = dense(Model)
    model.lanes = lanes
    model.compile(optimizer or keras.optimizers.SGD(0.1, momentum=0.9), LOSS, jit_compile=jit_compile)
    return model


def with_bad_rows(*rows):
    x = np.tile(X[:8], (2, 1, 1))
    x[list(rows), 0, 0] = np.nan
    return x, np.tile(Y[:8], 2)


def fit(model, x, y, *callbacks, **arguments):
    return model.fit(x, y, batch_size=4, shuffle=False, verbose=0, callbacks=list(callbacks), **arguments).history


@pytest.mark.filterwarnings(WARNINGS)
@pytest.mark.parametrize(("lanes", "jit_compile"), [(1, False), (2, True)])
def test_a_bad_batch_changes_nothing(lanes, jit_compile):
    """A run with bad batches ends like a run without them."""
    x, y = with_bad_rows(5, 13)  # of the second and the fourth batch
    guard = NonFiniteGuard()
    guarded, expected = make(lanes=lanes, jit_compile=jit_compile), make(lanes=lanes, jit_compile=jit_compile)
    history = fit(guarded, x, y, guard)
    good = np.concatenate([np.arange(4), np.arange(8, 12)])
    wanted = fit(expected, x[good], y[good])
    assert guard.skipped_steps == 2
    np.testing.assert_allclose(history["loss"], wanted["loss"], rtol=1e-6)
    for weight, other in zip(guarded.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-5, atol=1e-7)


def test_a_guard_that_skips_nothing_changes_nothing():
    guarded, plain = make(), make()
    assert fit(guarded, X, Y, NonFiniteGuard(), epochs=2) == fit(plain, X, Y, epochs=2)
    for weight, other in zip(guarded.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)


@pytest.mark.filterwarnings(WARNINGS)
def test_training_stops_after_skips_in_a_row_and_the_batch_is_saved(tmp_path):
    x, y = with_bad_rows(5, 10, 13)
    with pytest.raises(DivergedError, match=r"not finite in 3 steps in a row, .* the batch is in .*skipped-batch-3"):
        fit(make(), x, y, NonFiniteGuard(max_skips=3, directory=tmp_path))
    with np.load(tmp_path / "skipped-batch-1-replica-0.npz") as saved:
        np.testing.assert_array_equal(saved["arr_0"], x[4:8])
        np.testing.assert_array_equal(saved["arr_1"], y[4:8])


@pytest.mark.filterwarnings(WARNINGS)
@pytest.mark.parametrize("has_schedule", [False, True])
def test_training_goes_back_to_the_last_checkpoint(tmp_path, has_schedule):
    rate = keras.optimizers.schedules.PolynomialDecay(0.1, 100, 0.1) if has_schedule else 0.1
    model = make(keras.optimizers.SGD(rate))
    weights = []
    record = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: weights.append(model.get_weights()))
    x, y = with_bad_rows(8)  # of the third batch
    callbacks = [NonFiniteGuard(1, "rewind"), record, Checkpoints(tmp_path, "1steps")]
    with pytest.warns(UserWarning, match=r"goes on with the weights of step 2 and 0\.5 times the learning rate"):
        fit(model, x, y, *callbacks)
    for weight, saved in zip(weights[2], weights[1], strict=True):
        np.testing.assert_array_equal(weight, saved)
    half = make(keras.optimizers.SGD(0.05))
    half.set_weights(weights[2])
    fit(half, x[12:], y[12:])
    for weight, expected in zip(model.get_weights(), half.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-5, atol=1e-7)
    assert isinstance(model.optimizer.learning_rate, keras.Variable | tf.Tensor | float)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1 if has_schedule else 0.05)  # the schedule is back


@pytest.mark.filterwarnings(WARNINGS)
def test_an_overflow_of_scaled_gradients_is_left_to_the_optimizer():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=2.0**127)
    model, guard = make(optimizer), NonFiniteGuard(max_skips=1)
    fit(model, X * 100, Y, guard)
    assert float(optimizer.dynamic_scale) < 2.0**127 and guard.skipped_steps == 0


def test_wrong_uses_are_refused(tmp_path):
    model = make()
    with pytest.raises(ValueError, match=r"`action` must be stop without Checkpoints"):
        fit(model, X, Y, NonFiniteGuard(action="rewind"))
    with pytest.raises(ValueError, match="action"):
        NonFiniteGuard(action="wait")
    stock = dense(keras.Model)
    stock.compile("sgd", LOSS)
    with pytest.raises(ValueError, match=r"NonFiniteGuard is for `tfpar\.train\.Model\.fit`"):
        fit(stock, X, Y, NonFiniteGuard())

    class Own(Model):
        def train_step(self, data):
            return super().train_step(data)

    inputs = keras.Input((3,))
    own = Own(inputs, keras.layers.Dense(1)(inputs))
    own.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"Own has its own `train_step`"):
        own.fit(X, Y, callbacks=[NonFiniteGuard()])
    assert tfpar.train.NonFiniteGuard is NonFiniteGuard
