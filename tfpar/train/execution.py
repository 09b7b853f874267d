"""Functions that `fit`, `evaluate` and `predict` call for each execution: one or several steps on all replicas."""

import functools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfpar import keras_private
from tfpar.cluster import heartbeat
from tfpar.train.sharding import ShardedStrategy
from tfpar.train.types import Nest


def make_step_function(model: keras.Model, step: Callable) -> Callable:
    """Make a model's `train_function` or `test_function`.

    Args:
        model: `tfpar.train.Model`.
        step: batch -> dict of logs, called in each replica.
    """
    strategy = model.distribute_strategy
    if model.run_eagerly:
        step = _convert_arrays(step)
    if isinstance(strategy, ShardedStrategy):
        function = execute_steps(strategy, step, model.steps_per_execution, model.run_eagerly)
    else:
        function = keras_private.make_function(model, step)  # without XLA around it: steps compile their programs
    return _report_steps(model.cluster_around_cudnn(function))


def execute_steps(strategy: ShardedStrategy, step: Callable, steps_per_execution: int, run_eagerly: bool) -> Callable:
    """Make a function that runs a step on each batch of an iterator, on several replicas.

    Keras' own nests a function, whose collectives fail in a loop, and averages the replicas' logs over a first axis
    that they do not have.

    Args:
        strategy: of several replicas.
        step: batch -> dict of logs, called in each replica.
        steps_per_execution: number of batches of one call, or fewer at the end of the data.
        run_eagerly: trace no graph.

    Returns:
        Function of an iterator over batches. It returns the logs of the last step, and raises StopIteration or
        `tf.errors.OutOfRangeError` if there is no batch left.
    """

    def step_everywhere(batch):
        batch = tf.nest.map_structure(_drop_optional, batch)
        return tf.nest.map_structure(strategy.first_result, strategy.run(step, args=(batch,)))

    def step_on_next(iterator):
        return step_everywhere(iterator.get_next())

    def step_on_many(iterator):
        loop = _loop_eagerly if run_eagerly else _loop_in_graph
        return loop(step_everywhere, steps_per_execution, iterator)

    def trace(function):
        return function if run_eagerly else tf.function(function, autograph=False, reduce_retracing=True)

    on_batch, on_next, on_many = trace(step_everywhere), trace(step_on_next), trace(step_on_many)

    def execute(iterator):
        if not isinstance(iterator, (tf.data.Iterator, tf.distribute.DistributedIterator)):
            return on_batch(tf.nest.map_structure(_as_tensor, next(iterator)))  # of `train_on_batch` and its like
        if steps_per_execution == 1:
            return on_next(iterator)
        done, logs = on_many(iterator)
        if not done:
            raise StopIteration
        return logs

    return execute


def _loop_in_graph(step_everywhere, steps_per_execution, iterator):
    """Run steps in a `tf.while_loop`; return how many, and the logs of the last."""
    spec = tf.function(step_everywhere, autograph=False).get_concrete_function(iterator.element_spec)
    no_logs = tf.nest.map_structure(lambda t: tf.zeros(t.shape, t.dtype), spec.structured_outputs)

    def has_more(done, has_batch, _):
        return (done < steps_per_execution) & has_batch

    def step_once(done, _, logs):
        batch = iterator.get_next_as_optional()
        has_batch = batch.has_value()
        logs = tf.cond(has_batch, lambda: step_everywhere(batch.get_value()), lambda: logs)
        return done + tf.cast(has_batch, tf.int32), has_batch, logs

    done, _, logs = tf.while_loop(has_more, step_once, (0, True, no_logs), parallel_iterations=1)
    return done, logs


def _loop_eagerly(step_everywhere, steps_per_execution, iterator):
    """Run steps in a Python loop; return whether there was one, and the logs of the last."""
    logs = None
    for _ in range(steps_per_execution):
        batch = iterator.get_next_as_optional()
        if not batch.has_value():
            break
        logs = step_everywhere(batch.get_value())
    return logs is not None, logs


def make_predict_function(model: keras.Model) -> Callable:
    """Make a model's `predict_function`: Keras' own returns the rows of several workers in another order.

    Args:
        model: `tfpar.train.Model`.

    Returns:
        Function of a list of batches, which returns the nest of their outputs, concatenated.
    """
    strategy = model.distribute_strategy
    is_sharded = isinstance(strategy, ShardedStrategy)

    def predict_batch(batch):
        outputs = strategy.run(model.compile_with_xla(model.predict_step), args=(batch,))
        return strategy.gather_outputs(outputs) if is_sharded else outputs

    def predict_batches(batches):  # `steps_per_execution` of them, or fewer at the end
        outputs = [predict_batch(tf.nest.map_structure(_drop_optional, batch)) for batch in batches]
        return outputs[0] if len(outputs) == 1 else tf.nest.map_structure(lambda *o: tf.concat(o, 0), *outputs)

    if not model.run_eagerly:
        predict_batches = tf.function(predict_batches, autograph=False, reduce_retracing=True)
    predict_batches = _report_steps(model.cluster_around_cudnn(predict_batches))
    if not is_sharded:
        return predict_batches

    def build_and_predict(batches):
        _build_for_prediction(model, batches[0])
        model.predict_function = predict_batches
        return predict_batches(batches)

    return build_and_predict


def _build_for_prediction(model, batch) -> None:
    """Build a model that has not been built: variables cannot be made within a replica."""
    if all(layer.built for layer in keras_private.flatten_layers(model)):
        return

    def make_symbolic(leaf):
        (leaf, *_) = model.distribute_strategy.experimental_local_results(leaf)
        is_absent = not hasattr(leaf, "shape")
        return None if is_absent else keras.KerasTensor((None, *leaf.shape[1:]), leaf.dtype.name)

    x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
    with model.distribute_strategy.scope():
        model(tf.nest.map_structure(make_symbolic, x))


def without_autotuning(data: Nest) -> Nest:
    """Turn off a dataset's autotuning unless it was configured; return any other value unchanged.

    Autotuning's thread sleeps ever longer, and an epoch ends only when it wakes.
    """
    if not isinstance(data, tf.data.Dataset) or data.options().autotune != tf.data.Options().autotune:
        return data
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)


def with_auto_clustering(function: Callable) -> Callable:
    """Let XLA compile all that it can into clusters in the graphs of a function that it cannot compile as a whole."""

    @functools.wraps(function)
    def clustered(*args):
        before = tf.config.optimizer.get_jit()
        tf.config.optimizer.set_jit("autoclustering")
        try:
            return function(*args)
        finally:
            tf.config.optimizer.set_jit(before)

    return clustered


def _report_steps(function):
    """Report the begin and the end of each call to the launcher."""

    @functools.wraps(function)
    def call_and_report(*args):
        heartbeat.step()
        result = function(*args)
        heartbeat.step()
        return result

    return call_and_report


def _convert_arrays(step):
    """Make `step` accept arrays, and optionals that a generator has left out."""

    @functools.wraps(step)
    def convert_and_step(batch):
        return step(tf.nest.map_structure(_as_tensor, batch))

    return convert_and_step


def _as_tensor(leaf):
    leaf = _drop_optional(leaf)
    return tf.convert_to_tensor(leaf) if isinstance(leaf, np.ndarray) else leaf


def _drop_optional(leaf):
    """Replace an optional that a generator has left out by None."""
    return None if isinstance(leaf, tf.experimental.Optional) else leaf
