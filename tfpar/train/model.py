"""`Model`: a `keras.Model` whose `fit` is the same on N replicas as on one."""

import contextlib
import functools
import inspect
import warnings

import keras
import numpy as np
import tensorflow as tf

from tfpar import keras_private
from tfpar.cluster import outside_scope
from tfpar.cluster.multiworker import check_trains_together
from tfpar.keras_private import Functional, TrainerHooks, flat_losses, flatten_layers
from tfpar.layers.recurrent.placement import within_xla
from tfpar.train import row_gradients
from tfpar.train.accumulation import add_accumulated_weight, apply_sums, takes_rows
from tfpar.train.all_reduce import all_reduce_sum
from tfpar.train.batch_losses import gather_arguments, splits_by_rows
from tfpar.train.checks import check_scope
from tfpar.train.execution import (
    executes_steps,
    takes_tensors,
    with_auto_clustering,
    without_autotuning,
    without_optional,
)
from tfpar.train.losses import BatchWeights, needs_batch_weights, part_of_batch, share_loss
from tfpar.train.microbatches import Part, add_parts, has_one_shape, run_part, split_rows
from tfpar.train.replica import optimizer_variables, own_components, single_device
from tfpar.train.saving import SavedByWorkers
from tfpar.train.sharding import RowSharing, check_same_batch, fingerprints, this_share
from tfpar.train.workers import failures_explained, run_on_workers
from tfpar.train.xla_support import NotCompilableError, check_compilable


@keras.saving.register_keras_serializable(package="tfpar")
class Model(SavedByWorkers, TrainerHooks, keras.Model):
    """A `keras.Model`, functional or subclassed, for training under any `tf.distribute` strategy.

    A step runs on each replica in three parts: forward and backward, compiled by XLA for each shape of batch; an
    all-reduce of the gradients; the optimizer's update, compiled once. Without parts, and if all batches are of one
    shape, it is one program. So

    - the gradient is that of the mean loss over the global batch, whatever the sizes of the replicas' shares, and a row
      of weight zero counts for nothing when the loss is reduced by "mean_with_sample_weight";
    - clipping sees the all-reduced gradient;
    - a loss of the whole batch, such as the root of a mean, is that of the global batch, at the cost of one more
      forward pass where the batch has several parts; the same loss written as `compute_loss` is not recognized;
    - `jit_compile="auto"` means XLA wherever all layers support it, under a strategy and on a CPU too. Operations that
      XLA cannot compile turn it off, with a warning that names the layer.

    Attributes:
        lanes: parts of a replica's share of the batch that are computed at the same time: set it to the number of a
            CPU's cores, before `fit`. What holds for replicas holds for lanes: losses are those of the whole batch,
            metrics are counts, and batch normalization averages the statistics of the parts.

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
    _clusters_around_cudnn = False
    _jit_is_auto, _is_resolving_auto = True, False

    def __init__(self, *args, **kwargs):
        if not isinstance(self, Functional) and (len(args) == 2 or "outputs" in kwargs):
            # Left to itself Keras would change the bases of `Model` for good, and nothing else could be subclassed.
            self.__class__ = _functional_class(type(self))
            Functional.__init__(self, *args, **kwargs)
        else:
            super().__init__(*args, **kwargs)

    def forward_backward(self, data):
        """Computes what a replica's share of the batch says.

        Args:
            data: (x,), (x, y) or (x, y, sample_weight), this replica's share.

        Returns:
            Gradients of the share's summed loss, one for each trainable variable: a tensor, None, or
            `tf.IndexedSlices`; the loss's weight, a float32 scalar by which the sums over replicas are divided; and a
            dict of logs.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            loss, y_pred = self._share_loss(x, y, sample_weight, training=True)
            scaled_loss = self.optimizer.scale_loss(loss.value) if self.optimizer else loss.value
        gradients = tape.gradient(scaled_loss, [v.value for v in self.trainable_variables])
        pairs = zip(gradients, self.trainable_variables, strict=True)
        keeps_rows = self._keeps_rows()
        summed = [None if g is None else row_gradients.times(g, loss.weight, v.value, keeps_rows) for g, v in pairs]
        keras_private.loss_tracker(self).update_state(loss.value, sample_weight=loss.weight)
        return summed, loss.weight, self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def apply_gradients(self, summed, weight):
        """Steps the optimizer by gradients summed over all replicas, divided by the summed weight of their losses."""
        pairs = list(zip(summed, self.trainable_variables, strict=True))
        if not pairs:
            warnings.warn("The model does not have any trainable weights.", stacklevel=2)
            return
        with single_device(self.optimizer):
            apply_sums(self.optimizer, pairs, weight)

    def train_step(self, data):
        """One step of one replica: see the class."""
        if self._parts() == 1:
            step = self._compiled(self._step_in_one_part) if has_one_shape(data) else self._step_in_one_part
            return step(data)
        part, sums, seeds = self._sums_of_lanes(data)
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            sums = [self._sum_over_replicas(add_parts(sums))]
        sums, tables = self._with_whole_tables(sums)
        return self._compiled(functools.partial(self._update, part), has_recurrence=False)(sums, tables, seeds)

    def _step_in_one_part(self, data):
        summed, weight, logs = self._compiled(self._forward_backward_of_all)(data)
        self._compiled(self._apply_to_own_components, has_recurrence=False)(summed, weight)
        return logs

    def _forward_backward_of_all(self, data):
        """`forward_backward` of a batch that is not cut into parts."""
        summed, weight, logs = self.forward_backward(data)
        return summed if self._keeps_rows() else row_gradients.as_tensors(summed), weight, logs

    def _keeps_rows(self):
        """Whether the optimizer is given the rows of a table that a batch touched, as Keras' are without XLA."""
        return self._parts() == 1 and not self.jit_compile and takes_rows(self.optimizer)

    def _apply_to_own_components(self, summed, weight):
        pairs = zip(summed, self.trainable_variables, strict=True)
        summed = [tf.ensure_shape(g, v.shape) if isinstance(g, tf.Tensor) else g for g, v in pairs]
        with own_components(self._all_variables()):
            self.apply_gradients(summed, weight)

    def _sums_of_lanes(self, data):
        """Runs `forward_backward` of this replica's lanes: what did it, their sums, and the values of its seeds."""
        part = Part(self.forward_backward, *self._counters_and_other_variables())

        def weighted_part(place, rows, weights):
            with part_of_batch(weights):
                return part(place, rows)

        compiled, weights = self._compiled(weighted_part), self._batch_weights(data, training=True)
        sums, seeds = zip(*(compiled(*lane, weights) for lane in split_rows(data, self.lanes)), strict=True)
        return part, list(sums), seeds[0]

    def _sum_over_replicas(self, share):
        """Adds up the shares of all replicas; in place of what was counted in each are the counters of all."""
        # Replicas take turns where they meet in an all-reduce: no replica may stand there with its own components.
        counted = self._count(share.counters)
        # Programs of XLA have static shapes: equal shares have touched equally many rows of a table.
        moves_rows = self.jit_compile and this_share().is_even_over_workers
        total = all_reduce_sum(share._replace(counters=counted, fingerprints=fingerprints()), moves_rows)
        check_same_batch(total.fingerprints, tf.distribute.get_strategy().num_replicas_in_sync)
        return total._replace(fingerprints=[])

    def _count(self, added):
        """Adds to this replica's counters, and returns them: Keras adds up those of replicas where it reads them."""
        counters, _ = self._counters_and_other_variables()
        with own_components(counters):
            counted = [counter + own for counter, own in zip(counters, added, strict=True)]
            for counter, value in zip(counters, counted, strict=True):
                counter.assign(value)
        return counted

    def _with_whole_tables(self, sums):
        """`sums` without rows of tables, and for each variable None or, if it is a table, its gradient, for which XLA
        adds up the rows of all sums in half of TensorFlow's time."""
        of_variables = zip(*(of.gradients for of in sums), strict=True)
        rows = [row_gradients.add(g) if isinstance(g[0], tf.IndexedSlices) else None for g in of_variables]
        bare = [of._replace(gradients=[row_gradients.unless_rows(g) for g in of.gradients]) for of in sums]
        if all(gradient is None for gradient in rows):
            return bare, rows
        return bare, self._compiled(row_gradients.as_tensors, has_recurrence=False)(rows)

    def _update(self, part, sums, tables, seeds):
        """Assigns what the sums of parts of the batch say to this replica's variables, and returns the logs."""
        total = add_parts(sums)
        counters, _ = self._counters_and_other_variables()
        alone = tf.distribute.get_strategy().num_replicas_in_sync == 1
        with own_components(self._all_variables()):
            counted = self._count(total.counters) if alone else total.counters
            for variable, value in zip(part.statistics, total.statistics, strict=True):
                variable.assign(value / tf.cast(total.rows, value.dtype))
            for variable, value in zip(part.seeds, seeds, strict=True):
                variable.assign(value)
        pairs = zip(total.gradients, tables, strict=True)
        self._apply_to_own_components([g if table is None else table for g, table in pairs], total.weight)
        return self._result_of(counters, counted)

    def test_step(self, data):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        loss, y_pred = self._share_loss(x, y, sample_weight, training=False)
        keras_private.loss_tracker(self).update_state(loss.value, sample_weight=loss.weight)
        return self.compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def _share_loss(self, x, y, sample_weight, training):
        """The loss of a replica's share, and what the model answered."""
        y_pred = self(x, training=training) if keras_private.call_has_training_argument(self) else self(x)
        compute_loss = functools.partial(
            keras_private.compute_loss, self, x, y, y_pred, sample_weight, training=training
        )
        return share_loss(compute_loss, keras_private.compiled_loss(self), x), y_pred

    def _batch_weights(self, data, training):
        """What the losses weigh over the whole batch, where its parts have to know."""
        parts = self._parts() if training else tf.distribute.get_strategy().num_replicas_in_sync
        if parts == 1:
            return None
        unsplit = self._unsplit_losses(data)
        if not unsplit and not needs_batch_weights(keras_private.compiled_loss(self)):
            return None
        place, rows = split_rows(data, 1)[0]

        def weigh(place, rows):
            loss = self._on_rows(lambda rows: self._share_loss_of(rows, training), place, rows)
            return tf.stack(loss.weights), [loss.arguments[index] for index in unsplit]

        weights, own = self._compiled(weigh)(place, rows)
        weights = all_reduce_sum(weights)
        arguments = [None] * (weights.shape[0] - 1)
        for index, of_share in zip(unsplit, own, strict=True):
            arguments[index] = gather_arguments(of_share, place)
        return BatchWeights(weights[:-1], weights[-1], parts, arguments)

    def _unsplit_losses(self, data) -> list[int]:
        """Indices of the losses that are no means over rows."""
        container = keras_private.compiled_loss(self)
        losses = flat_losses(container)
        splits = [splits_by_rows(loss) for loss in losses]
        if None in splits and (known := vars(container).get("known_splits")):
            splits = known
        elif None in splits:
            specs = tf.nest.map_structure(
                lambda t: None if t is None else tf.TensorSpec((None, *t.shape[1:]), t.dtype), data
            )

            def probe(rows):
                arguments = self._on_rows(lambda rows: self._share_loss_of(rows, False), 0, rows).arguments
                splits[:] = map(splits_by_rows, losses, arguments)

            with own_components(self._all_variables()):
                tf.function(probe, autograph=False).get_concrete_function(specs)
            vars(container)["known_splits"] = splits
        return [index for index, does in enumerate(splits) if not does]

    def _share_loss_of(self, data, training):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        return self._share_loss(x, y, sample_weight, training)[0]

    def _on_rows(self, function, place, rows):
        """What a function of a part's rows returns; what it assigns is lost."""
        return run_part(function, place, rows, *self._counters_and_other_variables())[0]

    def _result_of(self, counters, totals):
        """What the metrics say if their variables had these values."""
        with keras.StatelessScope(state_mapping=zip(counters, totals, strict=True)):
            return self.get_metrics_result()

    def _parts(self):
        """Parts of a global batch that are computed by themselves."""
        return tf.distribute.get_strategy().num_replicas_in_sync * self.lanes

    def _counters_and_other_variables(self):
        counters = {id(variable): variable for metric in self.metrics for variable in metric.variables}
        return list(counters.values()), [v for v in self._all_variables() if id(v) not in counters]

    @functools.wraps(keras.Model.fit)
    def fit(self, *args, **kwargs):
        return self._on_workers(super().fit, args, kwargs)

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, *args, **kwargs):
        return self._on_workers(super().evaluate, args, kwargs)

    @functools.wraps(keras.Model.predict)
    def predict(self, *args, **kwargs):
        return self._on_workers(super().predict, args, kwargs)

    @functools.wraps(keras.Model.train_on_batch)
    def train_on_batch(self, *args, **kwargs):
        return self._on_batch(super().train_on_batch, args, kwargs)

    @functools.wraps(keras.Model.test_on_batch)
    def test_on_batch(self, *args, **kwargs):
        return self._on_batch(super().test_on_batch, args, kwargs)

    @functools.wraps(keras.Model.predict_on_batch)
    def predict_on_batch(self, *args, **kwargs):
        return self._on_batch(super().predict_on_batch, args, kwargs)

    def _on_batch(self, method, args, kwargs):
        check_scope(self)
        with outside_scope(), failures_explained():
            return method(*args, **kwargs)

    @functools.wraps(keras.Model.save_weights)
    def save_weights(self, *args, **kwargs):
        with _named_as_in_keras():
            super().save_weights(*args, **kwargs)

    @functools.wraps(keras.Model.load_weights)
    def load_weights(self, *args, **kwargs):
        try:
            with _named_as_in_keras():
                super().load_weights(*args, **kwargs)
        except ValueError:
            if not any(isinstance(layer, FunctionalModel) for layer in flatten_layers(self, include_self=False)):
                raise
            super().load_weights(*args, **kwargs)  # files of earlier versions name nested models otherwise

    def _on_workers(self, method, args, kwargs):
        check_scope(self)
        call = inspect.signature(method).bind(*args, **kwargs)
        for name in ("x", "validation_data"):
            if name in call.arguments:
                call.arguments[name] = without_autotuning(call.arguments[name])
        if isinstance(call.arguments.get("x"), tf.data.Dataset) and "shuffle" in call.signature.parameters:
            call.arguments.setdefault("shuffle", False)  # Keras warns of its own default
        with outside_scope(), failures_explained():
            if getattr(self.distribute_strategy, "is_multiworker", False):
                return run_on_workers(method, call.args, call.kwargs)
            return method(*call.args, **call.kwargs)

    def make_train_function(self, force=False):
        if self.train_function is None or force:
            self._check_synchronized_layers()
            check_scope(self)
            check_trains_together(self.distribute_strategy)
            own = type(self).train_step is Model.train_step
            self.train_function = self._step_function(self.train_step if own else self._custom_train_step)

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
            check_scope(self)
            self.test_function = self._step_function(self._own_or_custom_test_step)

    def _own_or_custom_test_step(self, data):
        def weighted_step(data, weights):
            with part_of_batch(weights):
                return self.test_step(data)

        return self._of_all_replicas(self._compiled(weighted_step)(data, self._batch_weights(data, training=False)))

    def _of_all_replicas(self, logs):
        """`logs` with what the metrics of all replicas say in place of this one's."""
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas == 1:
            return logs
        counters, _ = self._counters_and_other_variables()
        with own_components(counters):
            counted = [tf.identity(counter.value) for counter in counters]
        totals, summed = all_reduce_sum((counted, fingerprints()))
        check_same_batch(summed, replicas)
        results = self._result_of(counters, totals)
        return {name: results.get(name, value) for name, value in logs.items()}

    def make_predict_function(self, force=False):
        """Keras' own puts the rows of several workers in another order."""
        if self.predict_function is not None and not force:
            return
        strategy = self.distribute_strategy

        def predict_batch(batch):
            outputs = strategy.run(self._compiled(self.predict_step), args=(batch,))
            if not isinstance(strategy, RowSharing):
                return outputs
            return tf.nest.map_structure(strategy.in_input_order, outputs)

        def predict_batches(batches):  # `steps_per_execution` of them, or what is left
            outputs = [predict_batch(tf.nest.map_structure(without_optional, batch)) for batch in batches]
            return outputs[0] if len(outputs) == 1 else tf.nest.map_structure(lambda *o: tf.concat(o, 0), *outputs)

        if not self.run_eagerly:
            predict_batches = tf.function(predict_batches, autograph=False, reduce_retracing=True)
        predict_batches = self._clustered(predict_batches)

        def build_and_predict(batches):
            self._build_for(batches[0])
            self.predict_function = predict_batches
            return predict_batches(batches)

        self.predict_function = build_and_predict if isinstance(strategy, RowSharing) else predict_batches

    def _build_for(self, batch):
        """Builds a model that has not been built: variables cannot be made within a replica."""
        if all(layer.built for layer in flatten_layers(self)):
            return

        def symbolic(leaf):
            (leaf, *_) = self.distribute_strategy.experimental_local_results(leaf)
            is_absent = not hasattr(leaf, "shape")
            return None if is_absent else keras.KerasTensor((None, *leaf.shape[1:]), leaf.dtype.name)

        x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        with self.distribute_strategy.scope():
            self(tf.nest.map_structure(symbolic, x))

    def _step_function(self, step_function):
        strategy = self.distribute_strategy
        if self.run_eagerly:
            step_function = takes_tensors(step_function)
        if isinstance(strategy, RowSharing):
            return self._clustered(executes_steps(strategy, step_function, self.steps_per_execution, self.run_eagerly))
        # Keras would compile all of it; the steps compile their own programs.
        return self._clustered(keras_private.make_function(self, step_function))

    def _clustered(self, function):
        """`function`, for which XLA compiles what stands around cuDNN's operations, if there are any."""
        return with_auto_clustering(function) if self._clusters_around_cudnn else function

    def _compiled(self, part, has_recurrence=True):
        """`part`, reading and writing this replica's variables, as one XLA program if `jit_compile` says so.

        Where layers take cuDNN, which XLA cannot compile, that is left to parts without any.
        """

        @functools.wraps(part)
        def on_own_components(*args):
            with own_components(self._all_variables()):
                result = part(*args)
            check_compilable(tf.compat.v1.get_default_graph())
            return result

        if within_xla():
            return part  # of a step that is one program
        jit_compile = self.jit_compile or (self._clusters_around_cudnn and not has_recurrence)
        if self.run_eagerly or not jit_compile:
            return part  # TensorFlow finds this replica's components where code reads or assigns
        compiled = tf.function(on_own_components, jit_compile=True, autograph=False, reduce_retracing=True)

        def compiled_if_possible(*args):
            try:
                return compiled(*args)
            except NotCompilableError as error:
                self._leave_xla(error)
                return part(*args)

        return compiled_if_possible

    def _leave_xla(self, error):
        """Turns XLA off for this model, unless `jit_compile=True` asks for it."""
        found = f"{error.describe(flatten_layers(self))}, which XLA cannot compile"
        if not self._jit_is_auto:
            raise ValueError(f"{found}; got jit_compile=True. Pass jit_compile=False to `compile`.") from None
        if self.jit_compile:
            warnings.warn(f"{found}: the model runs without XLA, as with jit_compile=False.", stacklevel=2)
            keras.Model.jit_compile.fset(self, False)

    @functools.wraps(keras.Model.compile_from_config)
    def compile_from_config(self, config):
        super().compile_from_config(config)
        self._jit_is_auto = True  # a file does not tell what "auto" gave from what was asked for

    @property
    def jit_compile(self):
        """Whether each part of a step is one XLA program; False where a layer takes cuDNN: see the class."""
        return super().jit_compile

    @jit_compile.setter
    def jit_compile(self, value):
        takes_cudnn = any(getattr(layer, "takes_cudnn", False) for layer in flatten_layers(self))
        self._clusters_around_cudnn = bool(value) and takes_cudnn
        self._jit_is_auto, self._is_resolving_auto = self._is_resolving_auto, False
        keras.Model.jit_compile.fset(self, bool(value) and not takes_cudnn)

    def _all_variables(self):
        metrics = [variable for metric in self.metrics for variable in metric.variables]
        every = [*self.variables, *optimizer_variables(getattr(self, "optimizer", None)), *metrics]
        return list({id(variable): variable for variable in every}.values())

    def __setattr__(self, name, value):
        if name == "jit_compile":
            # TensorFlow would leave the assignment out where the value is the one that "auto" gives.
            type(self).jit_compile.fset(self, value)
        else:
            super().__setattr__(name, value)

    def _supports_xla(self) -> bool:
        self._is_resolving_auto = True
        supported = (layer.supports_jit or getattr(layer, "takes_cudnn", False) for layer in flatten_layers(self))
        return all(supported) and not self._synchronized_layers()

    def _synchronized_layers(self) -> list[str]:
        """Names of layers that ask all replicas in the middle of the forward pass."""
        if self.distribute_strategy.num_replicas_in_sync == 1:
            return []
        return [layer.name for layer in flatten_layers(self) if getattr(layer, "synchronized", False)]

    def _check_synchronized_layers(self):
        names = self._synchronized_layers()
        if names and (self.jit_compile or self.lanes > 1):
            raise ValueError(
                f"{names[0]} has synchronized=True, for which replicas must meet in the middle of the forward pass. "
                f"XLA cannot compile that, and lanes do not meet: use compile(jit_compile=False) and lanes=1, or "
                f"synchronized=False; got jit_compile={self.jit_compile}, lanes={self.lanes}."
            )

    @property
    def distribute_strategy(self):
        strategy = super().distribute_strategy
        return RowSharing(strategy) if strategy.num_replicas_in_sync > 1 else strategy

    def _build_from_batch(self, batch):
        """Build from the shapes of the data; Keras would run on the first batch, which fails on several workers."""
        batch = tf.nest.map_structure(_share_spec, batch)
        with self.distribute_strategy.scope():
            try:
                keras_private.build_symbolically(self, batch)
            except Exception:
                if self._parts() > 1:
                    raise
                return  # as in Keras, what is not symbolic is built by the first step
            add_accumulated_weight(self.optimizer)


@keras.saving.register_keras_serializable(package="tfpar")
class FunctionalModel(Model, Functional):
    """What `Model(inputs, outputs)` makes."""

    def __init__(self, inputs, outputs, name=None, **kwargs):
        Functional.__init__(self, inputs, outputs, name=name, **kwargs)


@contextlib.contextmanager
def _named_as_in_keras():
    """Within this context, files of weights name models within a model as those of `keras.Model`: by their class."""
    FunctionalModel.__name__ = Functional.__name__
    try:
        yield
    finally:
        FunctionalModel.__name__ = "FunctionalModel"


def _functional_class(cls):
    """The class that a model of `cls` gets where it is given inputs and outputs.

    A class with a constructor of its own is always functional: as Keras does, it gets another base and stays itself.
    """
    if cls is Model:
        return FunctionalModel
    if cls.__init__ is Model.__init__:
        return _functional_subclass(cls)
    bases = tuple(FunctionalModel if base is Model else base for base in cls.__bases__)
    cls.__bases__ = bases if FunctionalModel in bases else (*bases, FunctionalModel)
    return cls


@functools.cache
def _functional_subclass(cls):
    """A functional subclass of `cls`, which files name as `cls` itself."""
    made = type(cls)(cls.__name__, (cls, FunctionalModel), {"__module__": cls.__module__, "__doc__": cls.__doc__})
    registered = keras.saving.get_registered_name(cls)
    package, separator, name = registered.partition(">")
    if separator:
        keras.saving.register_keras_serializable(package, name)(made)
        keras.saving.get_custom_objects()[registered] = cls
    return made


@keras.saving.register_keras_serializable(package="tfpar")
class Sequential(Model, keras.Sequential):
    """A `keras.Sequential` that trains as `Model` does.

    Args:
        layers: list of layers.
        **kwargs: see `keras.Sequential`.

    Example:

    >>> model = tfpar.train.Sequential([keras.Input((5, 3)), tfpar.layers.GRU(4), keras.layers.Dense(1)])
    >>> model.output_shape
    (None, 1)
    """

    def __init__(self, layers=None, **kwargs):
        keras.Sequential.__init__(self, layers, **kwargs)


def _share_spec(leaf):
    """What has the shape and type of one replica's share of a leaf of a batch, or of its `tf.TypeSpec`."""
    leaf = keras_private.replica_spec(leaf)
    if hasattr(leaf, "shape"):
        return leaf
    return None if leaf is None or isinstance(leaf, tf.TypeSpec) else np.asarray(leaf)
