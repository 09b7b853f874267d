"""An optimizer that is given sums of gradients steps by their mean."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfpar.train.accumulation import add_accumulated_weight, divided_by_weight, innermost

pytestmark = pytest.mark.timeout(60)


def built(steps=None, **options):
    """Make an optimizer of one variable [0, 0], and the variable."""
    variable = keras.Variable(np.zeros(2, "float32"))
    optimizer = keras.optimizers.SGD(1.0, gradient_accumulation_steps=steps, **options)
    optimizer.build([variable])
    add_accumulated_weight(optimizer)
    return optimizer, variable


def step(optimizer, variable, summed, weight):
    with divided_by_weight(optimizer, tf.constant(weight)):
        optimizer.apply([tf.constant(summed)], [variable])
    return np.asarray(variable).tolist()


def test_sums_are_divided_by_their_weight():
    assert step(*built(), [6.0, -3.0], 3.0) == [-2.0, 1.0]


def test_no_weight_is_no_step():
    assert step(*built(), [0.0, 0.0], 0.0) == [0.0, 0.0]


def test_accumulated_sums_are_divided_by_their_summed_weight():
    optimizer, variable = built(steps=3)
    assert step(optimizer, variable, [6.0, 0.0], 3.0) == [0.0, 0.0]
    assert float(optimizer.accumulated_weight) == 3
    assert step(optimizer, variable, [0.0, 4.0], 1.0) == [0.0, 0.0]
    assert step(optimizer, variable, [2.0, 0.0], 4.0) == pytest.approx([-1.0, -0.5])
    assert float(optimizer.accumulated_weight) == 0
    for _ in range(3):
        after = step(optimizer, variable, [0.0, 8.0], 4.0)
    assert after == pytest.approx([-1.0, -2.5])


@pytest.mark.parametrize("steps", [None, 2])
def test_the_mean_is_clipped(steps):
    optimizer, variable = built(steps, clipvalue=0.5)
    for _ in range(steps or 1):
        after = step(optimizer, variable, [1.0, 3.0], 4.0)
    assert after == pytest.approx([-0.25, -0.5])


@pytest.mark.parametrize("steps", [None, 2])
@pytest.mark.parametrize("summed", [[30.0, -40.0], [0.3, 0.4], [0.0, 0.0], [np.inf, 1.0], [np.nan, 0.0]])
def test_global_norms_are_clipped_as_keras_clips_them(steps, summed):
    ours, variable = built(steps, global_clipnorm=2.0)
    keras_own, expected = built(steps, global_clipnorm=2.0)
    for _ in range(steps or 1):
        step(ours, variable, summed, 4.0)
        keras_own.apply([tf.constant(summed) / 4.0], [expected])
    np.testing.assert_allclose(np.asarray(variable), np.asarray(expected), rtol=1e-6)


def test_an_optimizer_clips_by_its_own_method():
    class Signs(keras.optimizers.SGD):
        def _clip_gradients(self, grads):
            return [keras.ops.sign(gradient) for gradient in grads]

    variable = keras.Variable(np.zeros(2, "float32"))
    optimizer = Signs(1.0, global_clipnorm=0.1)
    optimizer.build([variable])
    assert step(optimizer, variable, [6.0, -3.0], 3.0) == [-1.0, 1.0]


def test_no_weight_is_no_step_whatever_the_gradient():
    assert step(*built(global_clipnorm=1.0), [np.nan, np.inf], 0.0) == [0.0, 0.0]


def test_the_optimizer_is_restored():
    for optimizer, _ in (built(), built(2)):
        before = dict(vars(optimizer))
        with pytest.raises(ZeroDivisionError), divided_by_weight(optimizer, tf.constant(1.0)):
            raise ZeroDivisionError
        assert vars(optimizer) == before


def test_the_weight_is_a_variable_of_the_optimizer_that_accumulates_and_of_no_other():
    optimizer, _ = built(steps=2)
    assert [v.name for v in optimizer.variables].count("accumulated_weight") == 1
    add_accumulated_weight(optimizer)
    assert [v.name for v in optimizer.variables].count("accumulated_weight") == 1
    assert not hasattr(built()[0], "accumulated_weight")
    unbuilt = keras.optimizers.SGD(gradient_accumulation_steps=2)
    add_accumulated_weight(unbuilt)
    assert not hasattr(unbuilt, "accumulated_weight")


def test_inside_a_loss_scale_optimizer():
    inner, _ = built(steps=2)
    assert innermost(keras.optimizers.LossScaleOptimizer(inner)) is inner
    assert innermost(inner) is inner
