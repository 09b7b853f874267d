"""`verify_sequence_layer` passes this package's layers, and finds each kind of broken law."""

import keras
import pytest
import tensorflow as tf

from tfpar import layers
from tfpar.testing import check_sequence_layer, verify_sequence_layer

SHAPE = (9, 3)
ALL = ["shape", "graph", "XLA", "padding", "causality", "steps", "states", "file", "TFLite step"]

LAYERS = {
    "MinGRU": lambda **options: layers.MinGRU(4, **options),
    "MinLSTM": lambda **options: layers.MinLSTM(4, **options),
    "RGLRU": lambda **options: layers.RGLRU(4, num_heads=2, **options),
    "MLSTM": lambda **options: layers.MLSTM(4, num_heads=2, **options),
    "ParaGRU": lambda **options: layers.ParaGRU(4, evaluation="newton", **options),
    "ParaLSTM": lambda **options: layers.ParaLSTM(4, evaluation="newton", **options),
    "LSTM": lambda **options: layers.LSTM(4, **options),
    "GRU": lambda **options: layers.GRU(4, **options),
    "quasi-Newton": lambda **options: layers.LSTM(4, evaluation="newton", **options),
    "SimpleRNN": lambda **options: layers.SimpleRNN(4, **options),
}


@pytest.mark.slow
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_recurrent_layers_pass(make):
    assert verify_sequence_layer(make(return_sequences=True, return_state=True), SHAPE) == ALL


@pytest.mark.slow
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_bidirectional_layers_pass(make):
    laws = verify_sequence_layer(layers.Bidirectional(make(return_sequences=True)), SHAPE)
    assert laws == ["shape", "graph", "XLA", "padding", "file"]


@keras.saving.register_keras_serializable(package="examples")
class Breaker(keras.layers.Layer):
    """A running sum of the inputs that breaks one law."""

    supports_step = True
    latency = 0

    def __init__(self, breaks="", **kwargs):
        super().__init__(**kwargs)
        self.breaks, self.supports_masking, self.return_state = breaks, True, False

    def build(self, _):
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, x, mask=None):
        if self.breaks == "padding":
            x -= tf.reduce_mean(x, axis=1, keepdims=True)
        elif mask is not None:
            x = tf.where(mask[:, :, None], x, 0.0)
        if self.breaks == "causality":
            x = x + tf.pad(x[:, 1:], [[0, 0], [0, 1], [0, 0]])
        outputs = tf.cumsum(x * self.scale, axis=1)
        if self.breaks == "graph" and not tf.executing_eagerly():
            outputs += 1
        if self.breaks == "XLA" and not tf.executing_eagerly():
            outputs = tf.py_function(lambda x: x, [outputs], tf.float32)
        return outputs

    def compute_output_shape(self, shape):
        return shape[:2] if self.breaks == "shape" else shape

    def get_initial_state(self, batch_size):
        return [tf.zeros((batch_size, 3))]

    def step(self, x, states):
        outputs = self(x) + states[0][:, None] + (1e-3 if self.breaks == "steps" else 0.0)
        return outputs, [outputs[:, -1]]

    def get_config(self):
        return super().get_config() if self.breaks == "file" else {**super().get_config(), "breaks": self.breaks}

    @classmethod
    def from_config(cls, config):
        if "breaks" not in config:
            raise TypeError("`breaks` is missing.")
        return cls(**config)


@pytest.mark.parametrize("law", ["shape", "graph", "XLA", "padding", "causality", "steps", "file"])
def test_a_broken_law_is_named(law):
    with pytest.raises(AssertionError, match=f"breaks the law of {law}: "):
        verify_sequence_layer(Breaker(law), SHAPE)


def test_a_layer_of_a_user_passes():
    laws = ["shape", "graph", "XLA", "padding", "causality", "steps", "file", "TFLite step"]
    assert verify_sequence_layer(Breaker(), SHAPE) == laws


def test_a_layer_needs_no_shape_of_its_outputs():
    """Keras traces the call of a layer without `compute_output_shape`."""

    class Halves(keras.layers.Layer):
        def call(self, x):
            return x[..., :1], x[..., 1:]

    assert check_sequence_layer(Halves(), SHAPE, ["shape"]) == {"shape": None}


def test_laws_can_be_checked_without_claims():
    assert check_sequence_layer(keras.layers.GRU(2, return_sequences=True), SHAPE, ["causality"]) == {"causality": None}
    violation = check_sequence_layer(Breaker("causality"), SHAPE, ["causality", "shape"])
    assert "output before a changed input" in violation["causality"] and violation["shape"] is None
    with pytest.raises(ValueError, match="`laws`"):
        check_sequence_layer(Breaker(), SHAPE, ["speed"])


def test_wrong_states_are_found():
    class Wrong(layers.MinGRU):
        def step(self, sequences, states):
            outputs, (h,) = super().step(sequences, states)
            return outputs, [h + 1e-3]

    with pytest.raises(AssertionError, match="breaks the law of (steps|states): "):
        verify_sequence_layer(Wrong(4, return_sequences=True, return_state=True), SHAPE)


@pytest.mark.parametrize("shape", [(3, 9, 3), (7, 3)])
def test_shapes_that_are_refused(shape):
    with pytest.raises(ValueError, match=r"`shape` must be \(steps, features\) with at least 8 steps; got"):
        verify_sequence_layer(layers.MinGRU(4), shape)


def test_steps_of_strides_need_several_blocks():
    with pytest.raises(ValueError, match="at least 16 steps for .* whose blocks have 2"):
        verify_sequence_layer(layers.CausalMaxPooling(2), SHAPE)
    layer = layers.CausalMaxPooling(2, name="pooling")
    layer.build((None, None, 3))
    with pytest.raises(ValueError, match="a multiple of 2 steps for pooling; got 3"):
        layer.step(tf.zeros((1, 3, 3)), [])


def test_a_latency_delays_the_outputs_of_steps():
    class Delayed(keras.layers.Layer):
        """The mean of this step and the next."""

        supports_step, latency = True, 1

        def call(self, x):
            return (x + tf.pad(x, [[0, 0], [0, 1], [0, 0]])[:, 1:]) / 2

        def compute_output_shape(self, shape):
            return shape

        def get_initial_state(self, batch_size):
            return [tf.zeros((batch_size, 3))]

        def step(self, x, states):
            before = tf.concat([states[0][:, None], x[:, :-1]], axis=1)
            return (before + x) / 2, [x[:, -1]]

    layer, laws = Delayed(), ("causality", "steps")
    assert check_sequence_layer(layer, SHAPE, laws) == {"causality": None, "steps": None}
    layer.latency = 0
    assert all(check_sequence_layer(layer, SHAPE, laws).values())
