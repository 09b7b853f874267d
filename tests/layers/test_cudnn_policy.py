"""The choice of cuDNN, and its graph: traced for a GPU, which need not exist, and never run."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfpar
from tfpar import layers
from tfpar.layers.call_context import exporting
from tfpar.layers.recurrent import placement

FORWARD, BACKWARD = "CudnnRNNV3", "CudnnRNNBackpropV3"
REASON = "the device is a GPU; batches that are not right-padded run by the training loop"


def traced(layer, *, device="/GPU:0", training=True, masked=True, jit_compile=False, shape=(None, None, 4), **call):
    """Trace the graph of a training step of a layer: forward, and gradients by its input and weights."""
    layer.build(shape)

    def step(x, mask=None):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = tf.nest.flatten(layer(x, mask=mask, training=training, **call))
            loss = sum(tf.reduce_sum(tf.cast(output, tf.float32)) for output in outputs)
        return tape.gradient(loss, [x, *(w.value for w in layer.trainable_weights)])

    specs = [tf.TensorSpec(shape, layer.compute_dtype), tf.TensorSpec(shape[:2], tf.bool)]
    with tf.device(device):
        function = tf.function(step, autograph=False, jit_compile=jit_compile)
        return function.get_concrete_function(*specs[: 1 + masked]).graph.as_graph_def()


def operations(graph):
    """Kinds of all operations, those of branches, loops and called functions too."""
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    return {node.op for node in nodes}


SUPPORTED = {
    "lstm": lambda: layers.LSTM(3),
    "gru": lambda: layers.GRU(3),
    "no_bias": lambda: layers.LSTM(3, use_bias=False),
    "gru_no_bias": lambda: layers.GRU(3, use_bias=False),
    "backwards": lambda: layers.GRU(3, go_backwards=True, return_sequences=True, zero_output_for_mask=True),
    "bidirectional": lambda: layers.Bidirectional(layers.LSTM(3, return_sequences=True, return_state=True)),
    "input_dropout": lambda: layers.LSTM(3, dropout=0.5),
    "float16": lambda: layers.LSTM(3, dtype="mixed_float16"),
    "bfloat16": lambda: layers.GRU(3, dtype="mixed_bfloat16"),
    "float64": lambda: layers.LSTM(3, dtype="float64"),
    "requested": lambda: layers.LSTM(3, use_cudnn=True),
}


@pytest.mark.parametrize("make", SUPPORTED.values(), ids=SUPPORTED.keys())
def test_a_traced_step_for_a_gpu_has_cudnn_and_its_gradient(make):
    found = operations(traced(make()))
    assert {FORWARD, BACKWARD} <= found
    assert not any("Assert" in name for name in found)


OBSTACLES = {
    "cpu": (lambda: layers.LSTM(3), {"device": "/CPU:0"}, "the device is a CPU"),
    "xla": (lambda: layers.LSTM(3), {"jit_compile": True}, None),
    "refused": (lambda: layers.LSTM(3, use_cudnn=False), {}, "use_cudnn=False was given"),
    "activation": (lambda: layers.LSTM(3, activation="relu"), {}, "cuDNN supports only tanh and sigmoid"),
    "gates": (lambda: layers.GRU(3, recurrent_activation="tanh"), {}, "cuDNN supports only tanh and sigmoid"),
    "recurrent_dropout": (lambda: layers.LSTM(3, recurrent_dropout=0.1), {}, "cuDNN has no recurrent dropout"),
    "reset_before": (lambda: layers.GRU(3, reset_after=False), {}, "cuDNN has only the GRU of reset_after=True"),
    "simple_rnn": (lambda: layers.SimpleRNN(3), {}, "cuDNN's operation is for the LSTM and the GRU"),
    "unroll": (lambda: layers.LSTM(3, unroll=True), {"shape": (None, 5, 4)}, "unroll=True was given"),
}


@pytest.mark.parametrize("make, options, reason", OBSTACLES.values(), ids=OBSTACLES.keys())
def test_an_obstacle_keeps_cudnn_out_of_a_traced_step(make, options, reason):
    layer = make()
    assert not {FORWARD, BACKWARD} & operations(traced(layer, **options))
    if reason:
        with tf.device(options.get("device", "/GPU:0")):
            assert layer.explain().endswith(f"since {reason}")


def test_recurrent_dropout_is_no_obstacle_where_nothing_is_dropped_traced_only():
    assert FORWARD in operations(traced(layers.LSTM(3, recurrent_dropout=0.1), training=False))


def test_initial_states_and_carried_states_are_no_obstacle_traced_only():
    zeros = tf.zeros((2, 3))
    assert FORWARD in operations(traced(layers.GRU(3, return_state=True), shape=(2, 5, 4), initial_state=[zeros]))
    assert FORWARD in operations(traced(layers.LSTM(3, stateful=True), shape=(2, 5, 4)))


def test_an_xla_program_around_a_traced_function_keeps_cudnn_out_of_it():
    layer = layers.LSTM(3)
    layer.build((None, None, 4))
    inner = tf.function(layer, autograph=False)
    outer = tf.function(lambda x: inner(x), autograph=False, jit_compile=True)
    with tf.device("/GPU:0"):
        graph = outer.get_concrete_function(tf.TensorSpec((2, 5, 4))).graph.as_graph_def()
    assert FORWARD not in operations(graph)


def test_only_the_data_decides_between_the_two_bodies_of_a_traced_step():
    """cuDNN in one branch, in the other the loop as an XLA program of its own."""
    graph = traced(layers.LSTM(3))
    functions = {function.signature.name: function for function in graph.library.function}
    (choice,) = (node for node in graph.node if node.op in ("If", "StatelessIf") and "grad" not in node.name)
    taken, fallback = (functions[choice.attr[f"{name}_branch"].func.name] for name in ("then", "else"))
    assert FORWARD in {node.op for node in taken.node_def}
    assert "While" not in {node.op for node in taken.node_def}
    calls = [node.attr["f"].func.name for node in fallback.node_def if "PartitionedCall" in node.op]
    assert [functions[name].attr["_XlaMustCompile"].b for name in calls] == [True]
    assert FORWARD not in {node.op for node in functions[calls[0]].node_def}


@pytest.mark.parametrize("make", [lambda: layers.LSTM(3, recurrent_dropout=0.1), lambda: layers.SimpleRNN(3)])
def test_a_loop_for_a_gpu_is_an_xla_program_by_itself_in_a_traced_step(make):
    """It is compiled even in a model whose step cannot be compiled, since another layer runs by cuDNN."""

    def programs(**options):
        return [f for f in traced(make(), **options).library.function if f.attr["_XlaMustCompile"].b]

    kinds = [{node.op for node in program.node_def} for program in programs()]
    assert len(kinds) >= 2 and all(kind & {"While", "StatelessWhile"} for kind in kinds)
    assert programs(device="/CPU:0") == programs(jit_compile=True) == []


def test_a_batch_of_known_shape_without_a_mask_needs_no_second_body_in_a_traced_step():
    found = operations(traced(layers.GRU(3), shape=(2, 5, 4), masked=False))
    assert {FORWARD, BACKWARD} <= found and not {"If", "StatelessIf", "While", "StatelessWhile"} & found


def test_explain():
    layer = layers.LSTM(3, name="reader")
    with tf.device("/GPU:0"):
        assert layer.explain() == f"reader: lstm by the cudnn kernel, since {REASON}"
        assert layer.takes_cudnn and not layer.supports_jit
    with tf.device("/CPU:0"):
        assert layer.explain() == "reader: lstm by the training_loop kernel, since the device is a CPU"
        assert not layer.takes_cudnn and layer.supports_jit
        layer.supports_jit = False
        assert not layer.supports_jit


def test_xla_is_named_where_it_is_the_obstacle():
    explained = []
    layer = layers.LSTM(3)
    function = tf.function(lambda: explained.append(layer.explain()), autograph=False, jit_compile=True)
    with tf.device("/GPU:0"):
        function.get_concrete_function()
    assert explained[0].endswith("since XLA compiles the step, and cuDNN is not part of XLA")


@pytest.mark.parametrize("inner", [layers.LSTM(3), layers.GRU(3, recurrent_dropout=0.1), layers.SimpleRNN(3)])
def test_a_model_is_one_xla_program_unless_a_layer_takes_cudnn(inner):
    model = keras.Sequential([keras.Input((None, 4)), layers.Bidirectional(inner)])
    with tf.device("/GPU:0"):
        supported = all(layer.supports_jit for layer in model._flatten_layers())
    assert supported is not isinstance(inner, layers.LSTM)


def test_a_gpu_that_lacks_bfloat16_with_a_stand_in_for_its_description(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["gpu"])
    for capability, expected in (((7, 5), False), ((8, 0), True), ((9, 0), True)):
        details = {"compute_capability": capability}
        monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda _, details=details: details)
        assert placement.has_bfloat16() is expected
        with tf.device("/GPU:0"):
            assert layers.LSTM(3, dtype="bfloat16").takes_cudnn is expected
            assert layers.LSTM(3, dtype="float16").takes_cudnn


def test_a_tensorflow_for_amd_with_a_stand_in_for_its_description(monkeypatch):
    monkeypatch.setattr(tf.sysconfig, "get_build_info", lambda: {"is_rocm_build": True})
    with tf.device("/GPU:0"):
        assert layers.LSTM(3).explain().endswith("by the training_loop kernel, since the GPU is AMD's")


IMPOSSIBLE = {
    "activation": (lambda: layers.LSTM(3, use_cudnn=True, activation="relu"), "only tanh and sigmoid"),
    "recurrent_dropout": (lambda: layers.GRU(3, use_cudnn=True, recurrent_dropout=0.5), "no recurrent dropout"),
    "reset_before": (lambda: layers.GRU(3, use_cudnn=True, reset_after=False), "reset_after=True"),
    "unroll": (lambda: layers.LSTM(3, use_cudnn=True, unroll=True), "unroll=True was given"),
}


@pytest.mark.parametrize("make, obstacle", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_requesting_cudnn_for_an_unsupported_layer_is_an_error_at_construction(make, obstacle):
    message = f"use_cudnn=True was specified, but cuDNN is not supported here: .*{obstacle}.*use_cudnn='auto'"
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "options, obstacle",
    [({"device": "/CPU:0"}, "the device is a CPU"), ({"jit_compile": True}, "XLA compiles the step")],
    ids=["cpu", "xla"],
)
def test_requesting_cudnn_where_it_cannot_run_is_an_error_in_the_trace(options, obstacle):
    with pytest.raises(ValueError, match=f"use_cudnn=True was specified.*{obstacle}.*use_cudnn='auto'"):
        traced(layers.LSTM(3, use_cudnn=True), **options)


@pytest.mark.parametrize("target", ["saved_model", "tflite", "tflite_int8"])
@pytest.mark.parametrize("use_cudnn", ["auto", True])
def test_no_export_has_cudnn_traced_for_a_gpu(use_cudnn, target):
    layer = layers.LSTM(3, use_cudnn=use_cudnn)
    layer.build((2, 5, 4))
    with exporting(target), tf.device("/GPU:0"):
        function = tf.function(layer, autograph=False).get_concrete_function(tf.TensorSpec((2, 5, 4)))
    assert not any(name.startswith("Cudnn") for name in operations(function.graph.as_graph_def()))


def test_a_saved_model_from_a_gpus_scope_runs_on_a_cpu(tmp_path, monkeypatch):
    """With a stand-in for the scope: layers detect a GPU unless the scope is the CPU; all operations are on the CPU."""
    scope = tf.__internal__.eager_context.get_device_name
    features = keras.Input((None, 4), name="features")
    model = keras.Model(features, layers.GRU(3, name="gru")(features))
    with monkeypatch.context() as patch:
        patch.setattr(placement, "device_type", lambda: "CPU" if "CPU" in (scope() or "") else "GPU")
        tfpar.export.saved_model(model, tmp_path / "model")
    serve = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    assert not any(name.startswith("Cudnn") for name in operations(serve.graph.as_graph_def()))
    x = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")
    (output,) = serve(features=tf.constant(x)).values()
    np.testing.assert_allclose(output, model(x), atol=1e-6)


@pytest.mark.parametrize("use_cudnn", ["auto", True, False])
def test_a_saved_layer_keeps_use_cudnn(use_cudnn, tmp_path):
    model = keras.Sequential([keras.Input((None, 4)), layers.LSTM(3, use_cudnn=use_cudnn)])
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").layers[0].use_cudnn == use_cudnn
