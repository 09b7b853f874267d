"""The strategy without a server computes what TensorFlow's does, given the tensors of all workers."""

import numpy as np
import pytest
import tensorflow as tf

from tfpar.tensorflow_private import StrategyWithoutServer

SUM, MEAN = tf.distribute.ReduceOp.SUM, tf.distribute.ReduceOp.MEAN


@pytest.fixture(scope="module")
def strategy():
    """Worker 1 of 2, where worker 0 has ten times its tensors."""
    return StrategyWithoutServer(lambda tensor: [tf.cast(10, tensor.dtype) * tensor, tensor], workers=2, index=1)


def test_it_has_a_replica_of_each_worker(strategy):
    assert strategy.num_replicas_in_sync == 2 and len(strategy.extended.worker_devices) == 1
    assert not strategy.extended.should_checkpoint
    context = strategy.run(lambda: tf.distribute.get_replica_context().replica_id_in_sync_group)
    assert int(context) == 1


def test_variables_begin_with_the_chiefs_value(strategy):
    with strategy.scope():
        variable = tf.Variable([1.0, 2.0])
        counted = tf.Variable(
            0, synchronization=tf.VariableSynchronization.ON_READ, aggregation=tf.VariableAggregation.SUM
        )
    assert variable.numpy().tolist() == [10.0, 20.0]
    strategy.run(lambda: counted.assign_add(3))
    assert int(counted.read_value()) == 33


@pytest.mark.parametrize("is_eager", [False, True])
@pytest.mark.parametrize("operation, expected", [(SUM, [11.0, 22.0]), (MEAN, [5.5, 11.0])])
def test_reductions(strategy, is_eager, operation, expected):
    def replica():
        return tf.distribute.get_replica_context().all_reduce(operation, {"x": tf.constant([1.0, 2.0])})["x"]

    run = strategy.run if is_eager else tf.function(strategy.run, autograph=False)
    assert run(replica).numpy().tolist() == expected
    assert strategy.reduce(operation, tf.constant([1.0, 2.0]), axis=None).numpy().tolist() == expected


def test_rows_of_tables_are_concatenated(strategy):
    def replica():
        rows = tf.IndexedSlices(tf.ones([1, 2]), tf.constant([3]), tf.constant([40, 2]))
        return tf.convert_to_tensor(tf.distribute.get_replica_context().all_reduce(SUM, rows))

    table = tf.function(lambda: strategy.run(replica), autograph=False)().numpy()
    assert np.argwhere(table[:, 0]).tolist() == [[3], [30]] and table[3, 0] == 1 and table[30, 0] == 10


def test_gather(strategy):
    gathered = strategy.gather(strategy.run(lambda: tf.constant([[1, 2]])), axis=0)
    assert gathered.numpy().tolist() == [[10, 20], [1, 2]]


def test_tensorflows_own_strategy_still_starts_a_server():
    """Otherwise this one is no longer needed."""
    import inspect

    from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended

    assert "enable_collective_ops(server_def)" in inspect.getsource(
        CollectiveAllReduceExtended._initialize_multi_worker
    )
