"""Programs that XLA compiles in a step with cuDNN: traced for an absent GPU, not run."""

import keras
import pytest
import tensorflow as tf

import tfpar
from tfpar.train.execution import with_auto_clustering


def compiled_model(jit_compile, **lstm):
    x = keras.Input((5, 4))
    model = tfpar.train.Model(x, keras.layers.Dense(3)(tfpar.layers.LSTM(2, **lstm)(x)))
    model.compile("adam", "mse", jit_compile=jit_compile)
    model._maybe_symbolic_build(data_batch=(tf.zeros((8, 5, 4)), tf.zeros((8, 3))))
    return model


def programs(model):
    """Return the operations of a traced train step by the XLA function that contains them, None for all others."""
    spec = (tf.TensorSpec((8, 5, 4)), tf.TensorSpec((8, 3)))
    graph = tf.function(lambda *data: model.train_step(data), autograph=False).get_concrete_function(*spec).graph
    library = graph.as_graph_def().library.function
    found = {None: {node.op for node in graph.as_graph_def().node}}
    for function in library:
        xla = function.attr["_XlaMustCompile"].b
        found.setdefault(function.signature.name if xla else None, set()).update(n.op for n in function.node_def)
    return found


@pytest.mark.parametrize("jit_compile", ["auto", True])
def test_the_update_is_a_program_and_the_rest_is_auto_clustered_around_cudnn(jit_compile):
    with tf.device("/GPU:0"):
        model = compiled_model(jit_compile)
        found = programs(model)
    assert model.jit_compile is False
    assert {"CudnnRNNV3", "CudnnRNNBackpropV3"} <= found.pop(None)
    (update,) = [operations for operations in found.values() if "AssignSubVariableOp" in operations]
    assert "Sqrt" in update  # Adam's
    model.make_train_function()
    assert model.cluster_around_cudnn(len) is not len, "the function does not switch auto-clustering on"


@pytest.mark.parametrize("arguments", [{"use_cudnn": False}, {"activation": "relu"}], ids=str)
def test_without_cudnn_the_step_is_compiled_as_a_whole(arguments):
    with tf.device("/GPU:0"):
        model = compiled_model("auto", **arguments)
        found = programs(model)
    assert model.jit_compile is True
    assert "CudnnRNNV3" not in set().union(*found.values())
    (step,) = (operations for program, operations in found.items() if program is not None)
    assert {"BiasAddGrad", "Sqrt"} <= step, "backward, and Adam's update"


def test_no_xla_with_jit_compile_false():
    with tf.device("/GPU:0"):
        model = compiled_model(False)
        found = programs(model)
    assert "CudnnRNNV3" in found[None] and len(found) == 1
    assert model.cluster_around_cudnn(len) is len


def test_auto_clustering_is_on_within_the_call_alone():
    seen = []
    with_auto_clustering(lambda: seen.append(tf.config.optimizer.get_jit()))()
    assert (seen, tf.config.optimizer.get_jit()) == (["autoclustering"], "")
