"""Private names of TensorFlow 2.21: of operations, and a strategy of several workers without a server.

Beside `tfpar.keras_private` no other module uses private names. `tests/cluster/test_strategy_without_server.py` and
`tests/train/test_private_hooks.py` test what is assumed here: read both when TensorFlow is updated.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator

import tensorflow as tf
from tensorflow.python.distribute import distribute_lib, distribute_utils
from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended
from tensorflow.python.distribute.cross_device_ops import CollectiveAllReduce
from tensorflow.python.distribute.values import Mirrored
from tensorflow.python.framework import kernels
from tensorflow.python.ops.resource_variable_ops import ResourceVariable, UninitializedVariable


@contextlib.contextmanager
def without_strategy() -> Iterator[None]:
    """Within this context `tf.distribute.get_strategy` returns the default strategy, of one replica."""
    distribute_lib._push_per_thread_mode(distribute_lib._get_default_replica_mode())
    try:
        yield
    finally:
        distribute_lib._pop_per_thread_mode()


def make_plain_variable(next_creator: Callable, **kwargs) -> tf.Variable:
    """Make a variable that belongs to no strategy: a creator for `tf.variable_creator_scope`."""
    # A SavedModel is loaded into variables without initial values.
    kind = UninitializedVariable if kwargs.get("initial_value") is None else ResourceVariable
    accepted = inspect.signature(kind.__init__).parameters
    return kind(**{name: value for name, value in kwargs.items() if name in accepted})


def kernel_devices(operation: str) -> set[str]:
    """Return the device types, such as "CPU" or "XLA_CPU_JIT", for which an operation has a kernel."""
    return {kernel.device_type for kernel in kernels.get_registered_kernels_for_op(operation).kernel}


def device_in_scope() -> str:
    """Return the name of the device of the innermost scope, also of one around a function that is traced; or ""."""
    return tf.__internal__.eager_context.get_device_name() or ""


def is_within_xla() -> bool:
    """Return whether XLA compiles the function that is traced here, or one around it."""
    return tf.__internal__.get_enclosing_xla_context() is not None


def calibrate_only(converter: tf.lite.TFLiteConverter) -> None:
    """Make `convert` return the calibrated model, not yet quantized."""
    converter._experimental_calibrate_only = True


class StrategyWithoutServer(tf.distribute.MultiWorkerMirroredStrategy):
    """A `tf.distribute.MultiWorkerMirroredStrategy` of one CPU device per worker, which starts no gRPC server.

    Args:
        gather: tensor -> list of the tensors of all workers, in their order, which may differ in the first axis.
        workers: number of workers.
        index: of this worker.
    """

    def __init__(self, gather: Callable[[tf.Tensor], list[tf.Tensor]], workers: int, index: int):
        tf.distribute.Strategy.__init__(self, _ExtendedWithoutServer(self, gather, workers, index))


class _ExtendedWithoutServer(CollectiveAllReduceExtended):
    def __init__(self, strategy, gather, workers, index):
        self._gather_tensor, self._count, self._index = gather, workers, index
        super().__init__(strategy, None, tf.distribute.experimental.CommunicationOptions())

    def _initialize_strategy(self, cluster_resolver, devices):
        device = "/job:localhost/replica:0/task:0/device:CPU:0"
        self._num_workers, self._id_in_cluster, self._is_chief = self._count, self._index, self._index == 0
        self._worker_device = device
        self._collective_keys = None
        self._cross_device_ops = self._host_cross_device_ops = _GatherCollectives(
            self._gather_tensor, self._count, device
        )
        self._initialize_single_worker((device,))
        self._cluster_spec = self._task_type = self._task_id = self._rpc_layer = None
        self._local_or_standalone_client_mode = True
        self._num_devices_per_worker, self._local_device_type = 1, "CPU"

    def _get_variable_creator_initial_value(self, replica_id, device, primary_var, **kwargs):
        def get_chiefs_value():
            with tf.device(device):
                value = kwargs["initial_value"]
                value = value() if callable(value) else value
                value = tf.convert_to_tensor(getattr(value, "wrapped_value", value), kwargs.get("dtype"))
                return tf.ensure_shape(self._gather_tensor(value)[0], value.shape)

        return get_chiefs_value


class _GatherCollectives(CollectiveAllReduce):
    """Collectives of one device per worker that are computed from the gathered tensors."""

    def __init__(self, gather, workers, device):
        tf.distribute.CrossDeviceOps.__init__(self)
        self._gather_tensor, self._workers = gather, workers
        # As of the base class: `workers` groups of one device.
        self._group_size, self._devices, self._canonicalize_devices = workers, (device,), True

    def _all_reduce(self, reduce_op, value, replica_id, options):
        return tf.nest.map_structure(functools.partial(self._reduce_tensor, reduce_op), value)

    def _reduce_tensor(self, reduce_op, value):
        if isinstance(value, tf.IndexedSlices):
            values, indices = (tf.concat(self._gather_tensor(t), 0) for t in (value.values, value.indices))
            values = values / self._workers if reduce_op == tf.distribute.ReduceOp.MEAN else values
            return tf.IndexedSlices(values, indices, value.dense_shape)
        total = tf.ensure_shape(functools.reduce(tf.add, self._gather_tensor(value)), value.shape)
        return total / self._workers if reduce_op == tf.distribute.ReduceOp.MEAN else total

    def _all_reduce_per_replica_values(self, reduce_op, per_replica_values, options):
        totals = [self._all_reduce(reduce_op, value.values[0], 0, options) for value in per_replica_values]
        return [distribute_utils.regroup((total,), wrap_class=Mirrored) for total in totals]

    def _batch_all_gather(self, per_replica_values, axis, options):
        gathered = [tf.concat(self._gather_tensor(value.values[0]), axis) for value in per_replica_values]
        return [distribute_utils.regroup((tensor,), wrap_class=Mirrored) for tensor in gathered]
