"""`fit` in several processes: files are written once, all begin alike and end together, and a lost worker is named."""

import contextlib
import functools
import inspect

import keras
import tensorflow as tf

from tfpar.cluster import is_chief, lost_workers_named, read_tf_config
from tfpar.cluster.shared_memory import OutOfStepError
from tfpar.keras_private import initial_epoch, set_initial_epoch
from tfpar.train.all_reduce import all_reduce_sum
from tfpar.train.replica import own_components
from tfpar.train.sharding import DIFFERENT_BATCHES

# What these do is write or send something, which one process must do for all.
OF_THE_CHIEF = (
    keras.callbacks.BackupAndRestore,
    keras.callbacks.CSVLogger,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.OrbaxCheckpoint,
    keras.callbacks.RemoteMonitor,
    keras.callbacks.TensorBoard,
)

OUT_OF_STEP = (
    "The workers are not at the same step. All must call fit, evaluate and predict alike: does a callback stop some of "
    "them alone, or is there work that only one does? A worker may set stop_training by itself at the end of an epoch; "
    "within one, all must."
)

ABORTED = (
    "TensorFlow has stopped all collectives of this process, after an earlier error or since there are two strategies "
    "of the same devices. Start a new process, and make strategies by "
    "tfpar.cluster.make_strategy, which makes each once."
)


def run_on_workers(method, args, kwargs):
    """Calls a model's `fit`, `evaluate` or `predict` as one of several workers, each of which calls it likewise.

    Progress is shown, and callbacks that write are run, by the chief alone; what they restored goes to all. Other
    callbacks run on every worker: their logs are the same everywhere.

    Args:
        method: bound method.
        args, kwargs: of the call.

    Raises:
        ValueError: `callbacks` is a `keras.callbacks.CallbackList`.
    """
    call, chief = inspect.signature(method).bind(*args, **kwargs), is_chief()
    if not chief:
        call.arguments["verbose"] = 0
    callbacks = call.arguments.get("callbacks")
    if isinstance(callbacks, keras.callbacks.CallbackList):
        if method.__name__ == "fit":  # which gives its own to `evaluate`
            raise ValueError(
                "`callbacks` must be a list of callbacks where several workers train; got a CallbackList. Give `fit` "
                "the callbacks in it, so that the chief alone runs those that write."
            )
    else:
        callbacks = [callbacks] if isinstance(callbacks, keras.callbacks.Callback) else list(callbacks or ())
        mine = [c for c in callbacks if chief or not isinstance(c, OF_THE_CHIEF)]
        call.arguments["callbacks"] = [*mine, _OneMind()]
    return method(*call.args, **call.kwargs)


class _OneMind(keras.callbacks.Callback):
    """Has all workers begin with the chief's weights and epoch, and stop after the same epoch."""

    def on_train_begin(self, logs=None):
        model, self._strategy = self.model, self.model.distribute_strategy
        epoch = tf.constant(initial_epoch(model), tf.int64)
        take = functools.partial(_take_the_chiefs, model)
        agreed = tf.function(lambda: self._everywhere(take, epoch), autograph=False)()
        set_initial_epoch(model, int(agreed))
        self._summed = tf.function(lambda flag: self._everywhere(all_reduce_sum, flag), autograph=False)

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = bool(self._summed(tf.constant(int(self.model.stop_training), tf.int64)))

    def _everywhere(self, function, number):
        # An all-reduce takes only what was made in the replica.
        return self._strategy.first_result(self._strategy.everywhere(lambda: function(tf.identity(number))))


def _take_the_chiefs(model, number):
    """Gives all variables the chief's values; returns the chief's number. Called in a replica."""
    variables = [*model.variables, *model.optimizer.variables]
    is_chiefs = tf.distribute.get_replica_context().replica_id_in_sync_group == 0
    with own_components(variables):
        values = [tf.cast(v, tf.float64 if tf.as_dtype(v.dtype).is_floating else tf.int64) for v in variables]
    number, *values = all_reduce_sum([tf.where(is_chiefs, v, tf.zeros_like(v)) for v in (number, *values)])
    with own_components(variables):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(tf.cast(value, variable.dtype))
    return number


@contextlib.contextmanager
def failures_explained():
    """Within this context, what TensorFlow says when workers do not work together is said in plain words.

    Raises:
        WorkerLostError: another worker is gone.
        ValueError: the workers do not read the same batches.
        RuntimeError: they are not at the same step, or this process has collectives that failed before.
    """
    try:
        with lost_workers_named():
            yield
    except tf.errors.InvalidArgumentError as error:
        if DIFFERENT_BATCHES in str(error):
            raise ValueError(DIFFERENT_BATCHES) from None
        if OutOfStepError.__name__ in str(error):
            raise RuntimeError(OUT_OF_STEP) from error
        if "Collective ops is aborted" in str(error):
            config = read_tf_config()
            raise RuntimeError(OUT_OF_STEP if config and len(config.workers) > 1 else ABORTED) from error
        raise
