"""Private names of Keras and TensorFlow mean what each function of `tfpar.keras_private` assumes.

When one of these tests fails after an update of either library, change the function that it calls.
"""

import inspect
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.backend.tensorflow.optimizer import TFOptimizer
from keras.src.optimizers.base_optimizer import BaseOptimizer
from training import X, Y, dense

from tfpar import keras_private, tensorflow_private

pytestmark = pytest.mark.timeout(120)

ONES = np.ones((4, 2), "float32")


@pytest.fixture(scope="module")
def model():
    model = dense(keras.Model)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.train_on_batch(X, Y)
    return model


@pytest.fixture
def two_outputs():
    x = keras.Input((2,))
    model = keras.Model(x, [keras.layers.Dense(1)(x), keras.layers.Dense(1)(x)])
    model.compile("sgd", ["mse", "mse"])
    model.train_on_batch(ONES, [ONES[:, :1], ONES[:, :1]])
    return model


# Models and layers


def test_fit_builds_from_the_specs_of_the_dataset():
    built, observed = [], []

    class Watching(keras_private.TrainerHooks, keras.Model):
        def _build_from_batch(self, batch):
            built.append(batch)
            keras_private.build_symbolically(self, batch)

        def _observe_data(self, epoch_iterator):
            observed.append(epoch_iterator.num_batches)

        def _supports_xla(self):
            return False

    x = keras.Input((5, 4))
    watching = Watching(x, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    watching.compile("sgd", "mse")
    watching.fit(X, np.zeros((10, 3)), verbose=0)
    watching.train_on_batch(X, np.zeros((10, 3)))
    assert built[0][0].shape[1:] == (5, 4) and built[1][0].shape == (10, 5, 4)
    assert observed == [1]
    assert watching.optimizer.built


def test_auto_jit_compile_asks_the_hook():
    class Asked(keras_private.TrainerHooks, keras.Model):
        def _supports_xla(self):
            return self.answer

    for answer in (True, False):
        asked = dense(Asked)
        asked.answer = answer
        asked.compile("sgd", "mse", jit_compile="auto")
        assert asked.jit_compile is answer


def test_a_model_knows_its_form():
    sequential = keras.Sequential([keras.layers.Dense(1)])
    assert keras_private.is_functional(dense(keras.Model)) and not keras_private.is_functional(sequential)
    assert not keras_private.has_functional_graph(sequential)
    sequential.build((None, 2))
    assert keras_private.has_functional_graph(sequential)


def test_flattened_layers_contain_those_within_layers():
    x = keras.Input((5, 4))
    around = keras.Model(x, keras.layers.TimeDistributed(keras.layers.Dense(1, name="inner"))(x))
    assert "inner" in [layer.name for layer in keras_private.flatten_layers(around)]
    assert around not in keras_private.flatten_layers(around, include_self=False)


def test_a_built_layer_stores_its_shapes_by_argument():
    class Pair(keras.layers.Layer):
        def build(self, first_shape, second_shape):
            self.built = True

        def call(self, first, second):
            return first + second

    assert keras_private.build_shapes(Pair()) is None
    pair = Pair()
    pair(ONES, ONES)
    assert keras_private.build_shapes(pair) == {"first_shape": (4, 2), "second_shape": (4, 2)}


def test_a_functional_model_stores_the_structure_of_its_outputs():
    x = keras.Input((2,))
    outputs = {"b": keras.layers.Dense(1)(x), "a": [keras.layers.Dense(2)(x)]}
    structure = keras_private.outputs_structure(keras.Model(x, outputs))
    assert keras.tree.map_structure(lambda t: t.shape[-1], structure) == {"a": [2], "b": 1}


def test_the_functional_graph_of_each_kind_of_model():
    class Own(keras.Model):
        def call(self, x):
            return x

    functional, sequential = dense(keras.Model), keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert keras_private.functional_graph(functional) is functional
    assert [tuple(tensor.shape) for tensor in keras_private.functional_graph(sequential).inputs] == [(None, 2)]
    assert (
        keras_private.functional_graph(Own()) is None and keras_private.functional_graph(keras.layers.Dense(1)) is None
    )


def test_calls_of_a_functional_model_come_after_those_they_need():
    x = keras.Input((2,))
    first, second = keras.layers.Dense(3), keras.layers.Dense(2)
    y = second(first(x))
    calls = keras_private.calls(keras.Model(x, keras.layers.Add()([y, second(first(x)), y])))
    assert [type(operation).__name__ for operation, _ in calls] == ["Dense"] * 4 + ["Add"]
    made = [id(x)]
    for _, node in calls:
        assert all(id(tensor) in made for tensor in node.input_tensors)
        made.extend(map(id, node.output_tensors))


def test_operations_of_keras_are_told_apart_by_name():
    x = keras.Input((None, 2))
    elementwise = [x + x, keras.ops.not_equal(x, 0), keras.ops.logical_not(x), keras.ops.cast(x, "int32"), -x, x * 2]
    over_axis = [keras.ops.any(x, axis=-1), keras.ops.expand_dims(x, -1), keras.ops.concatenate([x, x], axis=-1)]
    others = [keras.ops.flip(x), x[:, 1:], keras.ops.cumsum(x, axis=1), keras.ops.roll(x, 1)]
    operations = [[keras_private.producing_call(y)[0] for y in each] for each in (elementwise, over_axis, others)]
    scopes = [[keras_private.operation_scope(each) for each in some] for some in operations]
    assert scopes == [["elements"] * 6, ["axis"] * 3, [None] * 4]
    assert operations[1][0].axis == [-1] or operations[1][0].axis == -1


def test_a_symbolic_tensor_names_the_call_that_made_it():
    layer = keras.layers.Dense(1, name="twice")
    first, second = keras.Input((2,)), keras.Input((2,))
    layer(first)
    operation, node = keras_private.producing_call(layer(second))
    assert operation is layer and node.input_tensors[0] is second
    assert [node.input_tensors[0] for node in keras_private.inbound_nodes(layer)] == [first, second]


def test_the_calls_of_a_layer_hold_their_keyword_arguments():
    layer, x = keras.layers.LSTM(1), keras.Input((3, 2))
    mask = keras.Input((3,), dtype="bool")
    layer(x, mask=mask)
    (node,) = keras_private.inbound_nodes(layer)
    assert node.arguments.kwargs["mask"] is mask


def test_a_mask_is_read_and_set():
    masked = keras.layers.Embedding(4, 2, mask_zero=True)(tf.constant([[1, 0]]))
    assert keras_private.get_mask(masked).numpy().tolist() == [[True, False]]
    assert keras_private.get_mask(tf.zeros([2])) is None
    other = tf.zeros([1, 2, 2])
    keras_private.set_mask(other, tf.constant([[False, True]]))
    loss = keras.losses.MeanSquaredError()
    assert float(loss(tf.constant([[[3.0, 3.0], [1.0, 1.0]]]), other)) == 1.0


def test_a_saved_part_stores_its_own_weights(tmp_path):
    class Part(keras_private.SavedObject):
        def save_own_variables(self, store):
            store["number"] = np.array([7.0])

        def load_own_variables(self, store):
            self.number = float(store["number"][0])

    class Owner(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.part = Part()

        def call(self, x):
            return x

    model = keras.Sequential([keras.Input((2,)), Owner()])
    model.save_weights(tmp_path / "part.weights.h5")
    model.load_weights(tmp_path / "part.weights.h5")
    assert model.layers[0].part.number == 7.0


# Training


def test_an_own_compute_loss_is_called_with_training_or_without():
    class Older(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            return tf.constant(7.0)

    class Own(keras.Model):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
            return tf.constant(7.0)

    for model in (Older(), Own()):
        assert float(keras_private.compute_loss(model, X, Y, X, None, training=True)) == 7.0


def test_a_model_knows_whether_its_call_takes_training():
    class Without(keras.Model):
        def call(self, x):
            return x

    assert keras_private.call_has_training_argument(dense(keras.Model))
    assert not keras_private.call_has_training_argument(Without())


def test_the_loss_tracker_gives_the_loss_of_the_logs(model):
    tracker = keras_private.loss_tracker(model)
    tracker.reset_state()
    tracker.update_state(3.0, sample_weight=2.0)
    assert model.get_metrics_result()["loss"] == 3.0 and tracker in model.metrics


def test_make_function_runs_a_step_on_each_batch_without_xla(model):
    model.jit_compile = True
    within_xla = []

    def step(batch):
        within_xla.append(tensorflow_private.is_within_xla())
        return {"sum": tf.reduce_sum(batch)}

    function = keras_private.make_function(model, step)
    iterator = iter(tf.data.Dataset.from_tensors(tf.ones([3])))
    assert float(function(iterator)["sum"]) == 3.0
    assert set(within_xla) == {False} and model.jit_compile is True


def test_a_distributed_spec_has_one_of_each_replica():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    dataset = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensors(tf.ones([4, 2])))
    plain = tf.TensorSpec([None, 2])
    assert keras_private.replica_spec(dataset.element_spec).shape.as_list() == [4, 2]
    assert keras_private.replica_spec(tf.distribute.DistributedValues) is tf.distribute.DistributedValues
    assert keras_private.replica_spec(plain) is plain
    per_replica = type("PerReplicaSpec", (), {"_value_specs": (plain, plain)})()
    assert keras_private.replica_spec(per_replica) is plain


def test_specs_of_replicas_are_in_value_specs():
    from tensorflow.python.distribute.values import PerReplica

    values = PerReplica((tf.ones([2, 3]), tf.ones([1, 3])))
    assert keras_private.replica_spec(tf.type_spec_from_value(values)).shape.as_list() == [2, 3]


def test_fit_begins_with_the_initial_epoch_that_a_callback_sets(model):
    class Later(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            assert keras_private.initial_epoch(self.model) == 0
            keras_private.set_initial_epoch(self.model, 2)

    assert model.fit(X, Y, epochs=3, callbacks=[Later()], verbose=0).epoch == [2]
    keras_private.set_initial_epoch(model, 0)  # Keras would let later calls begin there, too


def test_an_epoch_continues_behind_a_batch(model):
    """Keras' iterator over epochs numbers the rest of the batches, reads them, and then whole epochs."""
    from keras.src.backend.tensorflow.trainer import TFEpochIterator

    data = tf.data.Dataset.range(5).batch(1)
    epochs = TFEpochIterator(x=data, distribute_strategy=model.distribute_strategy)
    keras_private.replace_dataset(epochs, lambda dataset: dataset.skip(2))
    keras_private.continue_epoch(epochs, batch=2, read=2)
    rest = [(begin, int(next(iterator)[0])) for begin, _, iterator in epochs]
    assert rest == [(2, 2), (3, 3), (4, 4)]
    keras_private.replace_dataset(epochs, lambda dataset: data)
    assert [begin for begin, _, _ in epochs] == [0, 1, 2, 3, 4]
    assert keras_private.find_py_dataset(epochs) is None


def test_callbacks_have_the_attributes_that_hold_their_state(model, tmp_path):
    callbacks = [
        keras.callbacks.EarlyStopping("loss", restore_best_weights=True),
        keras.callbacks.History(),
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", "loss", save_best_only=True),
        keras.callbacks.ReduceLROnPlateau("loss"),
        keras.callbacks.TensorBoard(tmp_path / "logs", write_graph=False),
    ]
    model.fit(X, Y, callbacks=callbacks, verbose=0)
    for callback in [*callbacks, keras.callbacks.SwapEMAWeights()]:
        names = keras_private.state_attributes(callback)
        assert names and all(hasattr(callback, name) for name in names)
    assert keras_private.state_attributes(keras.callbacks.CSVLogger(tmp_path / "x")) == ()


def test_flushed_writers_have_written_their_events(model, tmp_path):
    board = keras.callbacks.TensorBoard(tmp_path, write_graph=False, update_freq=1)
    sizes = []

    def measure(batch, logs):
        before = sum(path.stat().st_size for path in tmp_path.rglob("*tfevents*"))
        keras_private.flush_writers(board)
        sizes.append(sum(path.stat().st_size for path in tmp_path.rglob("*tfevents*")) - before)

    model.fit(X, Y, callbacks=[board, keras.callbacks.LambdaCallback(on_train_batch_end=measure)], verbose=0)
    assert sizes[0] > 0


def test_the_global_seed_is_a_variable():
    keras.utils.set_random_seed(3)
    keras.utils.clear_session()
    assert keras_private.global_seed_state() is None
    keras.random.normal((1,))
    state = keras_private.global_seed_state()
    saved, expected = state.numpy(), keras.random.normal((1,)).numpy()
    keras_private.make_global_seed_state().assign(saved)
    assert keras.random.normal((1,)).numpy() == expected


def test_a_schedule_is_told_from_a_variable():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    assert keras_private.learning_rate_schedule(keras.optimizers.SGD(schedule)) is schedule
    assert keras_private.learning_rate_schedule(keras.optimizers.SGD(0.1)) is None


def test_a_variable_reads_and_writes_the_value_that_replaces_its_own():
    variable, other = keras.Variable(1.0), tf.Variable(2.0)
    with keras_private.values_replaced([variable], [other]):
        variable.assign(5.0)
        assert float(variable + 0.0) == 5.0
    assert (float(other), float(variable)) == (5.0, 1.0)


def test_a_stateless_scope_maps_variable_ids_to_values_and_collects_losses():
    """`tfpar.train` reads the values that a scope has collected."""
    variable = keras.Variable(1.0)
    scope = keras.StatelessScope(state_mapping=[(variable, tf.constant(2.0))], collect_losses=True)
    with scope:
        variable.assign(variable + 1.0)
    assert float(variable) == 1.0
    assert {key: float(value) for key, value in scope.state_mapping.items()} == {id(variable): 3.0}


# Losses


def test_a_compiled_loss_calls_the_losses_that_replace_its_own(model):
    container, called = keras_private.compiled_loss(model), []

    def loss(y_true, y_pred, sample_weight=None):
        called.append(sample_weight)
        return tf.constant(7.0)

    (own,) = keras_private.flat_losses(container)
    assert isinstance(own, keras.losses.SparseCategoricalCrossentropy)
    with keras_private.losses_replaced(container, [loss]):
        assert float(container(Y, model(X))) == 7.0
    assert called == [None] and keras_private.flat_losses(container) == [own]
    assert keras_private.flat_losses(None) == []


def test_the_metrics_of_replaced_losses_are_not_updated(two_outputs):
    container = keras_private.compiled_loss(two_outputs)
    assert len(container.metrics) == len(keras_private.flat_losses(container)) == 2
    before = [float(metric.result()) for metric in container.metrics]
    with keras_private.losses_replaced(container, [lambda *args, **kwargs: tf.constant(7.0)] * 2):
        container([ONES[:, :1]] * 2, two_outputs(ONES))
    assert [float(metric.result()) for metric in container.metrics] == before
    container([3 * ONES[:, :1]] * 2, two_outputs(ONES))
    assert [float(metric.result()) for metric in container.metrics] != before


def test_losses_hide_values_by_the_mask_of_what_they_call():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    called = loss.call(tf.constant([0, 1, 2]), tf.constant(np.eye(3, dtype="float32")))
    assert keras_private.get_mask(called).numpy().tolist() == [False, True, True]


def test_a_mask_multiplies_weights_unless_they_are_rescaled():
    weights, mask = tf.constant([1.0, 2.0, 3.0, 4.0]), tf.constant([True, True, False, False])
    plain = keras_private.mask_weights(weights, mask, "mean_with_sample_weight")
    assert plain.numpy().tolist() == [1.0, 2.0, 0.0, 0.0]
    assert keras_private.mask_weights(weights, mask, "sum_over_batch_size").numpy()[0] != 1.0


def test_losses_of_keras_are_told_from_others():
    assert keras_private.is_loss_of_keras(keras.losses.MeanSquaredError)
    assert keras_private.is_loss_of_keras(keras.losses.MeanSquaredError().fn)
    assert not keras_private.is_loss_of_keras(test_losses_of_keras_are_told_from_others)


# Optimizers


def test_tensorflows_optimizer_stands_between_keras_own_and_the_neutral_one():
    hooks = (
        "_apply_weight_decay",
        "_backend_increment_gradient_accumulators",
        "_backend_update_step",
        "_overwrite_model_variables_with_average_value",
    )
    for optimizer in (keras.optimizers.SGD, keras.optimizers.LossScaleOptimizer):
        order = optimizer.__mro__
        assert order.index(keras.optimizers.Optimizer) < order.index(TFOptimizer) < order.index(BaseOptimizer)
    assert [name for name in hooks if name not in vars(TFOptimizer)] == [], "is nothing overridden any more?"
    assert {"_tf_apply", "_common_apply"} <= set(dir(keras.optimizers.LossScaleOptimizer))


@pytest.mark.parametrize(
    "name, arguments",
    [
        ("_clip_gradients", ["grads"]),
        ("_backend_increment_gradient_accumulators", ["grads", "acc_grads"]),
        ("_backend_reset_gradient_accumulators", []),
    ],
)
def test_methods_of_optimizers_that_are_replaced(name, arguments):
    assert list(inspect.signature(getattr(keras.optimizers.SGD(), name)).parameters) == arguments


def test_single_device_updates_keep_an_optimizers_class_and_result():
    variables = [keras.Variable(np.ones(2, "float32")) for _ in range(2)]
    for variable, context in zip(variables, (keras_private.single_device_updates, None), strict=True):
        optimizer = keras.optimizers.AdamW(0.1, weight_decay=0.5)
        optimizer.build([variable])
        if context is None:
            optimizer.apply([tf.ones(2)], [variable])
            continue
        with context(optimizer):
            assert isinstance(optimizer, keras.optimizers.AdamW)
            optimizer.apply([tf.ones(2)], [variable])
        assert type(optimizer) is keras.optimizers.AdamW
    assert np.array_equal(*[variable.numpy() for variable in variables])


def test_optimizers_that_read_or_clip_gradients_themselves():
    class Clipping(keras.optimizers.SGD):
        def _clip_gradients(self, grads):
            return grads

    class Applying(keras.optimizers.SGD):
        def apply(self, grads, trainable_variables=None):
            return super().apply(grads, trainable_variables)

    assert keras_private.clips_as_keras(keras.optimizers.SGD()) and not keras_private.clips_as_keras(Clipping())
    assert not keras_private.reads_gradients_first(keras.optimizers.SGD())
    assert keras_private.reads_gradients_first(Applying())


def test_accumulated_gradients_are_divided_by_the_steps_before_they_are_clipped():
    variable = keras.Variable(np.zeros(1, "float32"))
    optimizer = keras.optimizers.SGD(1.0, gradient_accumulation_steps=2)
    optimizer.build([variable])
    events = []
    clip = keras_private.clip_gradients(optimizer)

    def observed(gradients):
        events.append(float(gradients[0][0]))
        return clip(gradients)

    def note(event):
        return lambda: events.append(event)

    with (
        keras_private.replace_clipping(optimizer, observed),
        keras_private.accumulation_observed(optimizer, note("add"), note("reset")),
    ):
        for gradient in (3.0, 5.0):
            optimizer.apply([tf.constant([gradient])], [variable])
    assert 4.0 in events and "add" in events and events.index(4.0) < events.index("reset")
    assert float(variable[0]) == -4.0


# TensorFlow


def test_a_hidden_strategy_is_the_default_one():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    seen = []

    def step():
        with tensorflow_private.without_strategy():
            seen.append((tf.distribute.has_strategy(), tf.distribute.get_strategy().num_replicas_in_sync))
            assert tf.distribute.in_cross_replica_context() is False
        seen.append((tf.distribute.has_strategy(), tf.distribute.get_replica_context().strategy is strategy))

    strategy.run(step)
    assert seen == [(False, 1), (True, True)]


def test_a_plain_variable_belongs_to_no_strategy():
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope(), tensorflow_private.without_strategy():
        variable = tensorflow_private.make_plain_variable(None, initial_value=2.0, name="plain", aggregation=None)
        without_value = tensorflow_private.make_plain_variable(None, initial_value=None, shape=[2], dtype=tf.float32)
    assert float(variable) == 2.0 and not isinstance(variable, tf.distribute.DistributedValues)
    assert without_value.shape == [2]


def test_kernels_name_their_devices():
    assert "CPU" in tensorflow_private.kernel_devices("MatMul")
    assert tensorflow_private.kernel_devices("NoSuchOperation") == set()


def test_a_scope_around_a_traced_function_gives_its_device():
    seen = []
    with tf.device("/GPU:0"):
        tf.function(lambda: seen.append(tensorflow_private.device_in_scope())).get_concrete_function()
    assert seen[-1].endswith("GPU:0") and tensorflow_private.device_in_scope() == ""


def test_a_calibrated_model_is_not_quantized(tmp_path):
    from ai_edge_litert import schema_py_generated as schema

    model = keras.Sequential([keras.Input((64,), batch_size=1), keras.layers.Dense(64)])
    model.export(tmp_path, verbose=False)
    kinds = []
    for calibrate in (True, False):
        converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path))
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: iter([[np.ones((1, 64), "float32")]])
        if calibrate:
            tensorflow_private.calibrate_only(converter)
        graph = schema.Model.GetRootAs(converter.convert(), 0).Subgraphs(0)
        tensors = [graph.Tensors(index) for index in range(graph.TensorsLength())]
        kinds.append({tensor.Type() for tensor in tensors if tensor.ShapeAsNumpy().tolist() == [64, 64]})
    assert kinds == [{schema.TensorType.FLOAT32}, {schema.TensorType.INT8}]


def test_no_other_module_names_keras_src_or_tensorflow_python():
    root = Path(keras_private.__file__).parent
    paths = [path for path in root.rglob("*.py") if not path.name.endswith("_private.py")]
    named = [path for path in paths if any(word in path.read_text() for word in ("keras.src", "tensorflow.python"))]
    assert named == [] and len(paths) > 100
