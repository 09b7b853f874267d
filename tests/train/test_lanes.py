"""Training does not depend on the number of lanes."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from training import X, Y, dense, functional, largest_difference, subclassed, trained

import tfpar
from tfpar.train.microbatches import split_shard


class TwoLanes(tfpar.train.Model):
    lanes = 2


class ThreeLanes(tfpar.train.Model):
    lanes = 3


def with_dropout(model_class):
    x = keras.Input((None, 4))
    recurrent = tfpar.layers.LSTM(3, dropout=0.3, recurrent_dropout=0.3, seed=1)(x)
    return model_class(x, keras.layers.Dense(3)(tfpar.layers.Dropout(0.5, seed=2)(recurrent)))


def regularized(model_class):
    x = keras.Input((None, 4))
    return model_class(x, keras.layers.Dense(3)(tfpar.layers.GRU(3, kernel_regularizer="l2")(x)))


def with_table(model_class):
    """Make a model whose gradient is sparse: the rows that were touched."""
    x = keras.Input((None,), dtype="int32")
    return model_class(x, keras.layers.Dense(3)(tfpar.layers.SimpleRNN(3)(keras.layers.Embedding(5000, 4)(x))))


SGD = functools.partial(keras.optimizers.SGD, 0.5, momentum=0.9)
CASES = {
    "table": (with_table, SGD, {"x": (900 * np.arange(10)[:, None] % 4999 + np.arange(5)).astype("int32")}),
    "functional": (functional, SGD, {}),
    "subclassed": (subclassed, SGD, {}),
    "dropout": (with_dropout, SGD, {}),
    "regularized": (regularized, SGD, {}),
    "adamw": (dense, functools.partial(keras.optimizers.AdamW, 0.05, weight_decay=0.1), {}),
    "clipping": (dense, functools.partial(keras.optimizers.SGD, 0.5, global_clipnorm=0.05), {}),
    "accumulation": (dense, functools.partial(SGD, gradient_accumulation_steps=2), {}),
    "loss_scaling": (dense, lambda: keras.optimizers.LossScaleOptimizer(SGD()), {}),
    "sample_weight": (dense, SGD, {"sample_weight": np.linspace(0, 2, 10).astype("float32")}),
}


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("name", CASES)
def test_lanes_equal_one_device(name, jit_compile):
    """Ten rows in batches of four: the last batch is smaller."""
    make, optimizer, fit = CASES[name]
    train = functools.partial(trained, optimizer=optimizer, jit_compile=jit_compile, metrics=["accuracy"], **fit)
    one, expected = train(make, tfpar.train.Model)
    two, history = train(make, TwoLanes)
    assert largest_difference(one, two) < 1e-5
    assert history.keys() == expected.keys()
    for metric, values in expected.items():
        np.testing.assert_allclose(history[metric], values, rtol=1e-5)


def test_more_lanes_than_rows():
    """Batches of four, and of two, in three lanes: the third is short, or empty."""
    one, expected = trained(dense, tfpar.train.Model, SGD, False)
    three, history = trained(dense, ThreeLanes, SGD, False)
    assert largest_difference(one, three) < 1e-5
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-5)


def test_moving_statistics_are_averaged_and_seeds_advance():
    def make(model_class):
        x = keras.Input((4,))
        return model_class(x, keras.layers.Dense(3)(keras.layers.BatchNormalization(momentum=0.0)(x)))

    x = X[:4, 0]
    model, _ = trained(make, TwoLanes, SGD, False, x=x, y=Y[:4], epochs=1)
    np.testing.assert_allclose(model.layers[1].moving_mean, x.mean(axis=0), atol=1e-6)
    of_lanes = (x[:2].var(axis=0) + x[2:].var(axis=0)) / 2
    np.testing.assert_allclose(model.layers[1].moving_variance, of_lanes, atol=1e-6)
    dropping, _ = trained(with_dropout, TwoLanes, SGD, False, epochs=1)
    (dropout,) = (layer for layer in dropping.layers if isinstance(layer, tfpar.layers.Dropout))
    assert int(dropout.seed_generator.state[1]) == 3, "one draw for each of three batches"


@pytest.mark.parametrize("rows, lanes, sizes", [(4, 2, [2, 2]), (5, 2, [3, 2]), (2, 3, [1, 1, 0]), (1, 2, [1, 0])])
def test_microbatches_are_consecutive(rows, lanes, sizes):
    x = tf.reshape(tf.range(3 * rows), (rows, 3))
    microbatches = split_shard((x, None), lanes)
    assert [len(x) for _, (x, _) in microbatches] == sizes
    np.testing.assert_array_equal(tf.concat([x for _, (x, _) in microbatches], axis=0), x)
    assert [int(offset) for offset, _ in microbatches][: 1 + (rows > 1)] == [0, sizes[0]][: 1 + (rows > 1)]


def test_lanes_of_one_shape_share_a_program():
    model = functional(TwoLanes)
    model.compile("sgd", "mse", jit_compile=True)
    traces = []
    forward_backward = model.forward_backward
    model.forward_backward = lambda rows: traces.append(rows[0].shape) or forward_backward(rows)
    model.fit(X[:8], np.zeros((8, 3), "float32"), batch_size=4, verbose=0)
    assert traces == [(2, 5, 4)]
