"""`Model`: a `keras.Model` whose `fit` runs under XLA on each replica, by the gradient of the whole global batch."""

import functools
import warnings

import keras
import tensorflow as tf
from keras.src.models.functional import Functional

from tfpar.train.lanes import assign_from_lanes, run_lane, split_rows
from tfpar.train.replica import all_reduce_sum, own_components, single_device


@keras.saving.register_keras_serializable(package="tfpar")
class Model(keras.Model):
    """A `keras.Model`, functional or subclassed, for training under any `tf.distribute` strategy.

    A step runs on each replica in three parts: forward and backward, compiled by XLA for each shape of batch; an
    all-reduce of the gradients; the optimizer's update, compiled once. So

    - the gradient is that of the mean loss over the global batch, whatever the sizes of the replicas' shares, and a row
      of weight zero counts for nothing when the loss is reduced by "mean_with_sample_weight";
    - clipping sees the all-reduced gradient;
    - `jit_compile="auto"` means XLA wherever all layers support it, under a strategy and on a CPU too.

    Attributes:
        lanes: parts of a replica's share of the batch that are computed at the same time: set it to the number of a
            CPU's cores, before `fit`. What holds for replicas holds for lanes: a loss is a sum over rows, metrics are
            counts, and batch normalisation averages the statistics of the parts.

    Override `forward_backward` to compute gradients in another way. A subclass with its own `train_step` is run as it
    is, and only on one replica.

    Example:

    >>> inputs = keras.Input((None, 3))
    >>> model = tfpar.train.Model(inputs, keras.layers.Dense(1)(tfpar.layers.GRU(4)(inputs)))
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(np.ones((8, 5, 3)), np.ones((8, 1)), batch_size=4, verbose=0)
    >>> sorted(history.history)
    ['loss']
    """

    lanes = 1

    def __init__(self, *args, **kwargs):
        if isinstance(self, Functional) or not (len(args) == 2 or "outputs" in kwargs):
            super().__init__(*args, **kwargs)
            return
        # Left to itself Keras would change this class's bases for good, and subclassed models could not be made after.
        self.__class__ = _functional_class(type(self))
        Functional.__init__(self, *args, **kwargs)

    def forward_backward(self, data):
        """Computes what a replica's share of the batch says.

        Args:
            data: (x,), (x, y) or (x, y, sample_weight), this replica's share.

        Returns:
            Gradients of the share's summed loss, one for each trainable variable; the loss's weight, a float32
            scalar by which the sums over replicas are divided; and a dict of logs.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            y_pred = self._forward(x, training=True)
            loss = self._mean_loss(x, y, y_pred, sample_weight, training=True)
            scaled_loss = self.optimizer.scale_loss(loss)
        weight = self._loss_weight(x, sample_weight)
        gradients = tape.gradient(scaled_loss, [v.value for v in self.trainable_variables])
        self._warn_of_missing(gradients)
        summed = [None if g is None else tf.convert_to_tensor(g) * tf.cast(weight, g.dtype) for g in gradients]
        self._loss_tracker.update_state(loss, sample_weight=weight)
        return summed, weight, self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def apply_gradients(self, summed, weight):
        """Steps the optimizer by gradients summed over all replicas, divided by the summed weight of their losses."""
        pairs = zip(summed, self.trainable_variables, strict=True)
        mean = [(tf.math.divide_no_nan(g, tf.cast(weight, g.dtype)), v) for g, v in pairs if g is not None]
        with single_device(self.optimizer):
            self.optimizer.apply_gradients(mean)

    def train_step(self, data):
        """One step, on one replica: see the class."""
        in_lanes = self._forward_backward_in_lanes if self.lanes > 1 else self._compiled(self.forward_backward)
        summed, weight, logs = in_lanes(data)
        summed, weight = _all_reduce_present(summed, weight)
        self._compiled(self.apply_gradients)(summed, weight)
        return logs

    def _forward_backward_in_lanes(self, data):
        """`forward_backward` of parts of the share, at the same time."""
        counters = {id(variable): variable for metric in self.metrics for variable in metric.variables}
        assigned = []

        def lane(place, rows):
            others = [variable for variable in self._all_variables() if id(variable) not in counters]
            (summed, weight, _), values = run_lane(self.forward_backward, place, rows, counters.values(), others)
            assigned[:] = [variable for variable in self._all_variables() if id(variable) in values]
            return summed, weight, [values[id(variable)] for variable in assigned]

        compiled = self._compiled(lane)
        summed, weight, values = zip(*(compiled(*part) for part in split_rows(data, self.lanes)), strict=True)
        with own_components(self._all_variables()):
            for variable, *of_lanes in zip(assigned, *values, strict=True):
                assign_from_lanes(variable, of_lanes, is_counter=id(variable) in counters)
            logs = self.get_metrics_result()
        return [None if g[0] is None else tf.add_n(g) for g in zip(*summed, strict=True)], tf.add_n(weight), logs

    def test_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred = self._forward(x, training=False)
        loss = self._mean_loss(x, y, y_pred, sample_weight, training=False)
        self._loss_tracker.update_state(loss, sample_weight=self._loss_weight(x, sample_weight))
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def _forward(self, x, training):
        return self(x, training=training) if self._call_has_training_arg else self(x)

    def _mean_loss(self, x, y, y_pred, sample_weight, training):
        """The share's mean loss. Keras divides losses by the number of replicas; that is undone here."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return self._compute_loss(x, y, y_pred, sample_weight, training=training) * replicas

    def _loss_weight(self, x, sample_weight):
        """What the share's mean loss weighs among those of other replicas: its rows, or its sample weights."""
        if sample_weight is not None and self._divides_by_sample_weight():
            return tf.reduce_sum(tf.cast(sample_weight, tf.float32))
        return tf.cast(tf.shape(tf.nest.flatten(x)[0])[0], tf.float32)

    def _divides_by_sample_weight(self):
        losses = tf.nest.flatten(self.loss)
        return all(getattr(loss, "reduction", None) == "mean_with_sample_weight" for loss in losses)

    def _warn_of_missing(self, gradients):
        missing = [v.path for g, v in zip(gradients, self.trainable_variables, strict=True) if g is None]
        if missing:
            warnings.warn(f"These variables have no part in the loss and are not trained: {missing}", stacklevel=2)

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            own = type(self).train_step is Model.train_step
            self.train_function = self._make_function(self.train_step if own else self._custom_train_step)

    def _custom_train_step(self, data):
        """A subclass's own step, as one program."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas > 1:
            raise ValueError(
                f"{type(self).__name__} has its own `train_step`, which cannot run on {replicas} replicas: gradients "
                "are summed over replicas between forward_backward and apply_gradients. Override `forward_backward` "
                "instead, or use one replica."
            )
        return self._compiled(self.train_step)(data)

    def make_test_function(self, force=False):
        if self.test_function is None or force:
            self.test_function = self._make_function(lambda data: self._compiled(self.test_step)(data))

    def _make_function(self, step_function):
        """Keras' own puts XLA around the whole `strategy.run`, which works on one device alone; the steps bring
        their own."""
        jit_compile, self._jit_compile = self.jit_compile, False
        try:
            return super()._make_function(step_function)
        finally:
            self._jit_compile = jit_compile

    def _compiled(self, part):
        """`part`, reading and writing this replica's variables, as one XLA program if `jit_compile` says so."""

        @functools.wraps(part)
        def on_own_components(*args):
            with own_components(self._all_variables()):
                return part(*args)

        if self.run_eagerly:
            return on_own_components
        return tf.function(on_own_components, jit_compile=self.jit_compile, autograph=False, reduce_retracing=True)

    def _all_variables(self):
        metrics = [variable for metric in self.metrics for variable in metric.variables]
        every = [*self.variables, *(self.optimizer.variables if self.optimizer else ()), *metrics]
        return list({id(variable): variable for variable in every}.values())

    def _resolve_auto_jit_compile(self):
        return all(layer.supports_jit for layer in self._flatten_layers())

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Builds from the shapes of the data; Keras' own takes the first batch, and fails where it is spread over
        workers."""
        if iterator is not None:
            spec = iterator._distributed_dataset.element_spec
            data_batch = tf.nest.map_structure(_share_spec, spec)
        with self.distribute_strategy.scope():
            self._symbolic_build(data_batch=data_batch)


@keras.saving.register_keras_serializable(package="tfpar")
class FunctionalModel(Model, Functional):
    """What `Model(inputs, outputs)` makes."""

    def __init__(self, inputs, outputs, name=None, **kwargs):
        Functional.__init__(self, inputs, outputs, name=name, **kwargs)


def _functional_class(cls):
    """`cls` as a class of functional models."""
    return FunctionalModel if cls is Model else type(cls.__name__, (cls, Functional), {"__module__": cls.__module__})


def _share_spec(spec):
    """The TensorSpec of one replica's share."""
    return spec._value_specs[0] if hasattr(spec, "_value_specs") else spec


def _all_reduce_present(summed, weight):
    """Sums gradients, where there are any, and the weight over all replicas."""
    *present, weight = all_reduce_sum([*(g for g in summed if g is not None), weight])
    reduced = iter(present)
    return [None if g is None else next(reduced) for g in summed], weight
