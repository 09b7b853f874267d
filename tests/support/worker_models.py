"""Small models of `worker_cases.py`, with a metric and losses."""

import functools

import keras
from training import dense

import tfpar

SGD = functools.partial(keras.optimizers.SGD, 0.5, momentum=0.9)


def cross_entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def compiled(
    strategy, make=dense, seed=5, optimizer=SGD, loss=None, model_class=tfpar.train.Model, seen=0, **arguments
):
    """Make a compiled model of equal initial weights in all processes, unless `seed` is None.

    With `seen` it has the metric `Seen` of so many examples.
    """
    if seed is not None:
        keras.utils.set_random_seed(seed)
    with strategy.scope():
        model = make(model_class)
        counting = {"weighted_metrics": [Seen(seen)]} if seen else {}
        model.compile(optimizer(), loss or cross_entropy(), **{"jit_compile": False, **counting, **arguments})
    return model


def weights(model):
    return [w.tolist() for w in model.get_weights()]


def two_headed(model_class):
    x = keras.Input((None, 4))
    hidden = keras.layers.Dense(4, activation="tanh")(x)
    last = keras.layers.Dense(2, name="last")(hidden[:, -1])
    return model_class(x, {"steps": keras.layers.Dense(3, name="steps")(hidden), "last": last})


class Seen(keras.metrics.Metric):
    """Metric of how often each example was seen in the epoch; labels number the examples."""

    def __init__(self, examples):
        super().__init__(name="seen")
        self.examples = examples
        self.count = self.add_weight(shape=(examples,), initializer="zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.count.assign_add(keras.ops.segment_sum(sample_weight, y_true, self.examples))

    def result(self):
        return self.count + 0.0


class Size(keras.losses.Loss):
    def __init__(self, reduction):
        super().__init__("size", reduction)

    def call(self, y_true, y_pred):
        return keras.ops.mean(keras.ops.square(y_pred - 1.0), axis=-1)


class PlainMean(tfpar.train.Model):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return keras.ops.mean(keras.ops.square(y_pred - 1.0))
