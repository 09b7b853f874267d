"""Which inputs and outputs have the time axis, and which layers strategy "sequence" refuses."""

import re

import keras
import numpy as np
import pytest

import tfpar
from tfpar.train.sequence_sharding import (
    BatchCut,
    SequenceShard,
    check_rows_are_independent,
    check_runs_own_methods,
    check_slices_have_steps,
)
from tfpar.train.time_axes import find_time_axes

L = keras.layers


def model_of(*layers, shape=(None, 4), dtype=None):
    x = y = keras.Input(shape, dtype=dtype, name="x")
    for layer in layers:
        y = layer(y)
    return tfpar.train.Model(x, y)


def recurrent(**arguments):
    return tfpar.layers.LSTM(4, return_sequences=True, **arguments)


def refused(model):
    with pytest.raises(ValueError, match="sequence") as error:
        find_time_axes(model)
    return str(error.value)


@pytest.mark.parametrize(
    "layer, remedy",
    [
        (L.Conv1D(4, 3), "Use strategy 'mirrored' or 'multiworker'"),
        (L.GlobalAveragePooling1D(), "return_sequences=False"),
        (L.GlobalMaxPooling1D(), "return_sequences=False"),
        (L.AveragePooling1D(2), "Use strategy"),
        (L.Flatten(), "return_sequences=False"),
        (L.Reshape((8, 8)), "Use strategy"),
        (L.Permute((2, 1)), "Use strategy"),
        (L.BatchNormalization(), "Use LayerNormalization"),
        (L.LayerNormalization(axis=1), "Use strategy"),
        (L.Softmax(axis=1), "Use strategy"),
        (L.LSTM(4), "Use tfpar.layers.LSTM"),
        (L.Bidirectional(L.GRU(4)), "Use tfpar.layers.Bidirectional"),
        (L.Cropping1D(), "Use strategy"),
        (L.ZeroPadding1D(), "Use strategy"),
        (tfpar.layers.MeanPooling(), "Use strategy"),
        (tfpar.layers.MaxPooling(), "Use strategy"),
        (tfpar.layers.LSTM(4, return_sequences=True, go_backwards=True), "Use tfpar.layers.Bidirectional"),
        (L.Dense(4, activity_regularizer="l2"), "Use kernel_regularizer"),
        (L.Dropout(0.5, noise_shape=(2, 16, 1)), "with None or 1 for the time axis"),
        (L.Dropout(0.5, noise_shape=(4,)), "Use a `noise_shape` of all axes"),
        (L.Lambda(lambda x: x[:, ::-1]), "Use strategy"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_layers_that_look_across_steps_are_refused_by_name(layer, remedy):
    message = refused(model_of(L.Dense(4), layer, shape=(16, 4)))
    assert re.match(f"The layer '{layer.name}' \\({type(layer).__name__}\\) .*strategy 'sequence' divides", message)
    assert remedy in message and message.count(". ") == 1


@pytest.mark.parametrize(
    "layer, reason",
    [
        (L.BatchNormalization(), "has variables that each step of the time axis updates.*Use LayerNormalization"),
        (L.Dropout(0.5), "draws random numbers within TimeDistributed.*Call it on the whole sequences"),
        (tfpar.layers.LSTM(4), "runs within each step of the time axis.*Use a recurrent layer of keras.layers"),
        (keras.Sequential([L.Dense(4, activity_regularizer="l2")]), "has an activity_regularizer"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_layers_within_time_distributed_that_are_refused(layer, reason):
    model = model_of(L.TimeDistributed(layer), shape=(6, 4, 3))
    assert re.search(reason, refused(model))


def test_time_distributed_layers_are_allowed():
    frames = keras.Sequential([keras.Input((8, 8, 1)), L.Conv2D(2, 3), L.Flatten(), L.Dense(4)])
    axes = find_time_axes(model_of(L.TimeDistributed(frames, name="frames"), recurrent(), shape=(6, 8, 8, 1)))
    assert axes.outputs and [layer.name for layer in axes.step_loops] == ["frames"]


def test_time_distributed_needs_a_step_in_each_slice():
    axes = find_time_axes(model_of(L.TimeDistributed(L.Dense(3), name="steps")))
    check_slices_have_steps(BatchCut(axes, keras.ops.ones((2, 3, 4)), 2), axes)
    with pytest.raises(ValueError, match=r"'steps' \(TimeDistributed\) needs a step on each of 2 replicas.*Pad the"):
        check_slices_have_steps(BatchCut(axes, keras.ops.ones((2, 1, 4)), 2), axes)


def test_layers_of_all_rows_are_refused_where_rows_are_divided():
    model = model_of(tfpar.layers.GRU(4), L.BatchNormalization(name="norm"))
    with pytest.raises(ValueError, match=r"'norm' \(BatchNormalization\) reads all rows.*Use LayerNormalization"):
        check_rows_are_independent(model)
    model.get_layer("norm").trainable = False
    check_rows_are_independent(model)


@pytest.mark.parametrize("operation", [lambda x: x[:, -1], lambda x: keras.ops.mean(x, axis=1), keras.ops.flip])
def test_operations_that_look_across_steps_are_refused(operation):
    x = keras.Input((None, 4))
    assert "divides over replicas" in refused(tfpar.train.Model(x, operation(recurrent()(x))))


@pytest.mark.parametrize("shape", [(1, 7, 4), (2, 7, 1), (7, 4)])
def test_constants_with_a_time_axis_are_refused(shape):
    x = keras.Input((7, 4))
    message = refused(tfpar.train.Model(x, recurrent()(x) + np.ones(shape, "float32")))
    assert f"takes a constant {shape} with a time axis" in message


def test_constants_of_the_features_are_allowed():
    x = keras.Input((7, 4))
    assert find_time_axes(tfpar.train.Model(x, recurrent()(x) + np.ones((1, 4), "float32"))).outputs is True


@pytest.mark.parametrize("make", [L.Activation, lambda function: L.Dense(3, activation=function)])
def test_activations_of_a_user(make):
    def over_time(x):
        return keras.ops.softmax(x, axis=1)

    assert "applies 'over_time' across the time axis" in refused(model_of(recurrent(), make(over_time)))
    assert find_time_axes(model_of(recurrent(), make(lambda x: x * keras.ops.sigmoid(x)))).outputs is True


def test_attention_is_refused():
    x = keras.Input((None, 4))
    hidden = recurrent()(x)
    assert "'attention" in refused(tfpar.train.Model(x, L.Attention()([hidden, hidden])))


def test_a_sequence_made_within_the_model_is_refused():
    message = refused(model_of(tfpar.layers.LSTM(4), L.RepeatVector(3), recurrent()))
    assert "RepeatVector" in message and "makes an axis" in message


def test_a_subclass_of_an_allowed_layer_is_refused():
    class Reversed(L.Dense):
        def call(self, inputs):
            return super().call(inputs)[:, ::-1]

    assert "Reversed" in refused(model_of(Reversed(4)))


def test_a_layer_within_a_nested_model_is_refused():
    nested = keras.Sequential([keras.Input((16, 4)), L.Conv1D(4, 3, name="inner")])
    assert "'inner' (Conv1D)" in refused(model_of(nested, shape=(16, 4)))


def test_subclassed_models_are_refused():
    class Own(tfpar.train.Model):
        def call(self, x):
            return x

    assert "the subclassed Own" in refused(Own())


def test_a_model_without_a_time_axis_is_refused():
    assert "no input of the model has one" in refused(model_of(L.Dense(2), shape=(4,)))


def test_layers_of_single_steps_are_allowed():
    x = keras.Input((None, 4))
    y = L.LayerNormalization()(L.Dense(4, activation="relu")(L.Masking()(x)))
    y = L.Add()([y, tfpar.layers.Dropout(0.5)(recurrent()(y))]) * 2 + y
    y = L.Concatenate()([y, L.Softmax()(L.Activation("tanh")(y))])
    axes = find_time_axes(tfpar.train.Model(x, L.Dense(3)(y)))
    assert (axes.inputs, axes.outputs) == ([True], True)


def test_a_random_layer_of_steps_and_of_rows_is_refused():
    x, dropout = keras.Input((None, 4)), L.Dropout(0.5)
    message = refused(tfpar.train.Model(x, dropout(tfpar.layers.MinGRU(4)(dropout(x)))))
    assert "(Dropout) is called with and without the time axis" in message and "Use two layers" in message


def test_random_layers_that_draw_for_each_step_are_found():
    nested = keras.Sequential([keras.Input((None, 4)), L.GaussianNoise(1.0, name="inner")])
    of_rows, of_features = L.Dropout(0.5), L.Dropout(0.5, noise_shape=(None, 1, None))
    layers = [L.Dropout(0.5, name="outer"), nested, L.SpatialDropout1D(0.5), of_features, tfpar.layers.GRU(4), of_rows]
    random_layers = find_time_axes(model_of(*layers)).random_layers
    assert [layer.name for layer, is_of_steps in random_layers if is_of_steps] == ["outer", "inner"]
    assert len(random_layers) == 5


def test_axes_of_tokens_masks_states_and_outputs():
    tokens, static, mask = keras.Input((7,), dtype="int32"), keras.Input((5,)), keras.Input((7,), dtype="bool")
    x = L.Embedding(9, 4)(tokens)
    steps, *states = tfpar.layers.GRU(3, return_sequences=True, return_state=True)(x, L.Dense(3)(static), mask=mask)
    last = tfpar.layers.Bidirectional(tfpar.layers.MinGRU(2))(steps)
    last = L.BatchNormalization()(L.Concatenate()([last, *states, static]))
    axes = find_time_axes(tfpar.train.Model([tokens, static, mask], {"steps": L.Dense(2)(steps), "last": last}))
    assert axes.inputs == [True, False, True]
    assert axes.outputs == {"steps": True, "last": False}


def test_own_methods_and_lanes_are_refused():
    class Own(tfpar.train.Model):
        def compute_loss(self, *args, **kwargs):
            return super().compute_loss(*args, **kwargs)

    x = keras.Input((None, 4))
    with pytest.raises(ValueError, match="Own has its own `compute_loss`.*Use strategy 'mirrored'"):
        check_runs_own_methods(Own(x, L.Dense(2)(x)))
    model = model_of(L.Dense(2))
    check_runs_own_methods(model)
    model.lanes = 2
    with pytest.raises(ValueError, match="`lanes` must be 1 under strategy 'sequence'.*got 2"):
        check_runs_own_methods(model)


@pytest.mark.parametrize(
    "steps, sizes", [(7, [3, 3, 1]), (6, [2, 2, 2]), (2, [1, 1, 0]), (1, [1, 0, 0]), (0, [0, 0, 0])]
)
def test_slices_of_any_number_of_steps(steps, sizes):
    axes = find_time_axes(model_of(L.Dense(2)))
    x = keras.ops.reshape(keras.ops.arange(2 * steps * 4), (2, steps, 4))
    cut = BatchCut(axes, x, 3)
    slices = [SequenceShard(axes, cut, index).cut_inputs(x) for index in range(3)]
    assert [each.shape[1] for each in slices] == sizes
    assert (keras.ops.concatenate(slices, axis=1).numpy() == x.numpy()).all()


def test_targets_with_other_steps_are_refused():
    axes = find_time_axes(model_of(L.Dense(2)))
    shard = SequenceShard(axes, BatchCut(axes, keras.ops.ones((2, 6, 4)), 2), 0)
    with pytest.raises(
        ValueError, match="`y` must have as many time steps .*Pad them to one length; got 5 and 6 steps"
    ):
        shard.cut_targets(keras.ops.ones((2, 5, 2)))
    with pytest.raises(ValueError, match=r"`y` must have .*got the shape \(2,\)"):
        shard.cut_targets(keras.ops.ones(2))


def test_weights_of_rows_and_of_single_steps_are_told_apart():
    axes = find_time_axes(model_of(L.Dense(2)))
    cut, output = BatchCut(axes, keras.ops.ones((2, 3, 4)), 2), keras.ops.ones((2, 1, 2))  # slices of 2 steps and 1
    of_steps, of_rows = keras.ops.ones((2, 3)), keras.ops.ones((2, 1))
    for weight, is_of_rows in ((of_steps, False), (of_rows, True)):
        shard = SequenceShard(axes, cut, 1)
        assert shard.is_row_weight(shard.cut_sample_weight(output, weight), output) == is_of_rows
