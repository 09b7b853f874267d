"""`fit`, `evaluate` and `predict` in several processes: what the chief alone does, and what all do together."""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator

import keras
import tensorflow as tf

from tfpar.cluster import is_chief, name_lost_workers, read_tf_config
from tfpar.cluster.shared_memory import OutOfStepError
from tfpar.keras_private import initial_epoch, set_initial_epoch
from tfpar.train.all_reduce import all_reduce_sum
from tfpar.train.broadcast import is_first_replica, run_on_replicas
from tfpar.train.callback_order import as_callback_list, order_callbacks, own_callbacks
from tfpar.train.replica import local_components
from tfpar.train.sharding import DIFFERENT_BATCHES

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


def run_on_workers(method: Callable, args: tuple, kwargs: dict) -> object:
    """Call a model's `fit`, `evaluate` or `predict` as one of several workers, each of which makes the same call.

    The chief alone shows progress and runs callbacks that write; all workers get the weights that these restored.
    Other callbacks run on every worker: their logs are the same everywhere.

    Args:
        method: bound method.
        args, kwargs: arguments of the call.

    Returns:
        What the method returns.

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
        own = own_callbacks(as_callback_list(callbacks))
        call.arguments["callbacks"] = order_callbacks([*own, SyncCallback()])
    return method(*call.args, **call.kwargs)


class SyncCallback(keras.callbacks.Callback):
    """Callback that broadcasts the chief's weights and epoch at the start, and stops all workers after one epoch."""

    def on_train_begin(self, logs: dict | None = None) -> None:
        model, strategy = self.model, self.model.distribute_strategy
        epoch = tf.constant(initial_epoch(model), tf.int64)
        broadcast = functools.partial(_broadcast_from_chief, model)
        chief_epoch = tf.function(lambda: run_on_replicas(strategy, broadcast, epoch), autograph=False)()
        set_initial_epoch(model, int(chief_epoch))
        self._sum = tf.function(lambda flag: run_on_replicas(strategy, all_reduce_sum, flag), autograph=False)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.model.stop_training = bool(self._sum(tf.constant(int(self.model.stop_training), tf.int64)))


def _broadcast_from_chief(model, number):
    """Assign the chief's values to all variables, and return the chief's number; called in a replica."""
    variables = [*model.variables, *model.optimizer.variables]
    is_first = is_first_replica()
    with local_components(variables):
        values = [tf.cast(v, tf.float64 if tf.as_dtype(v.dtype).is_floating else tf.int64) for v in variables]
    number, *values = all_reduce_sum([tf.where(is_first, v, tf.zeros_like(v)) for v in (number, *values)])
    with local_components(variables):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(tf.cast(value, variable.dtype))
    return number


@contextlib.contextmanager
def explain_failures() -> Iterator[None]:
    """Within this context TensorFlow's errors of workers that do not cooperate become errors that say the cause.

    Raises:
        WorkerLostError: another worker has ended.
        ValueError: the workers do not read the same batches.
        RuntimeError: they are not at the same step, or collectives of this process have failed before.
    """
    try:
        with name_lost_workers():
            yield
    except OutOfStepError as error:  # outside of a graph
        raise RuntimeError(OUT_OF_STEP) from error
    except tf.errors.InvalidArgumentError as error:
        if DIFFERENT_BATCHES in str(error):
            raise ValueError(DIFFERENT_BATCHES) from None
        if OutOfStepError.__name__ in str(error):
            raise RuntimeError(OUT_OF_STEP) from error
        if "Collective ops is aborted" in str(error):
            config = read_tf_config()
            raise RuntimeError(OUT_OF_STEP if config and len(config.workers) > 1 else ABORTED) from error
        raise
