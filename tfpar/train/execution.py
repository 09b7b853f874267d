"""What `fit` and `evaluate` call for each execution: one step, or several, on all replicas."""

import functools

import numpy as np
import tensorflow as tf


def executes_steps(strategy, step, steps_per_execution: int, run_eagerly: bool):
    """Makes a function that runs a step on each batch that an iterator holds, on several replicas.

    Keras' own has a function within a function, whose collectives fail in a loop, and takes the mean of the replicas'
    logs over their first axis, which they do not have.

    Args:
        strategy: `tfpar.train.sharding.RowSharing`.
        step: batch -> dict of logs, run in each replica.
        steps_per_execution: how many batches at once, or fewer at the end of the data.
        run_eagerly: trace no graph.

    Returns:
        Function of an iterator over batches. It returns the logs of the last step, and raises StopIteration or
        `tf.errors.OutOfRangeError` if there is no batch left.
    """

    def step_everywhere(batch):
        batch = tf.nest.map_structure(without_optional, batch)
        return tf.nest.map_structure(strategy.first_result, strategy.run(step, args=(batch,)))

    def step_on_next(iterator):
        return step_everywhere(iterator.get_next())

    def steps(iterator):
        spec = tf.function(step_everywhere, autograph=False).get_concrete_function(iterator.element_spec)
        no_logs = tf.nest.map_structure(lambda t: tf.zeros(t.shape, t.dtype), spec.structured_outputs)

        def go_on(done, has_batch, _):
            return (done < steps_per_execution) & has_batch

        def one_more(done, _, logs):
            batch = iterator.get_next_as_optional()
            has_batch = batch.has_value()
            logs = tf.cond(has_batch, lambda: step_everywhere(batch.get_value()), lambda: logs)
            return done + tf.cast(has_batch, tf.int32), has_batch, logs

        done, _, logs = tf.while_loop(go_on, one_more, (0, True, no_logs), parallel_iterations=1)
        return done, logs

    def eager_steps(iterator):
        logs = None
        for _ in range(steps_per_execution):
            batch = iterator.get_next_as_optional()
            if not batch.has_value():
                break
            logs = step_everywhere(batch.get_value())
        return logs is not None, logs

    one = step_on_next if run_eagerly else tf.function(step_on_next, autograph=False, reduce_retracing=True)
    many = eager_steps if run_eagerly else tf.function(steps, autograph=False, reduce_retracing=True)
    given = step_everywhere if run_eagerly else tf.function(step_everywhere, autograph=False, reduce_retracing=True)

    def execute(iterator):
        if not isinstance(iterator, (tf.data.Iterator, tf.distribute.DistributedIterator)):
            return given(tf.nest.map_structure(_as_tensor, next(iterator)))  # `train_on_batch` and its like
        if steps_per_execution == 1:
            return one(iterator)
        done, logs = many(iterator)
        if not done:
            raise StopIteration
        return logs

    return execute


def without_autotuning(data):
    """`data`, or if it is a dataset whose autotuning nobody configured, the same without it.

    Its thread sleeps ever longer, and an epoch ends only when it wakes.
    """
    if not isinstance(data, tf.data.Dataset) or data.options().autotune != tf.data.Options().autotune:
        return data
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)


def takes_tensors(step):
    """`step`, which is given tensors where the batch holds arrays, and None for what is absent."""

    @functools.wraps(step)
    def converted(batch):
        return step(tf.nest.map_structure(_as_tensor, batch))

    return converted


def _as_tensor(leaf):
    leaf = without_optional(leaf)
    return tf.convert_to_tensor(leaf) if isinstance(leaf, np.ndarray) else leaf


def without_optional(leaf):
    """`leaf`, or None for what a generator leaves out."""
    return None if isinstance(leaf, tf.experimental.Optional) else leaf


def with_auto_clustering(function):
    """`function`, in whose graphs XLA compiles all that it can into clusters, for what it cannot compile as a whole."""

    @functools.wraps(function)
    def clustered(*args):
        before = tf.config.optimizer.get_jit()
        tf.config.optimizer.set_jit("autoclustering")
        try:
            return function(*args)
        finally:
            tf.config.optimizer.set_jit(before)

    return clustered
