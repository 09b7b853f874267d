"""Operations that XLA cannot compile are found before they run, named, and run without XLA if that is allowed."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfpar

X = np.ones((8, 5, 3), "float32")


class Prints(keras.layers.Layer):
    def call(self, x):
        tf.print("printed")
        return x


class PrintsInALoop(keras.layers.Layer):
    def call(self, x):
        def body(i):
            tf.print(i)
            return i + 1

        return x + tf.cast(tf.while_loop(lambda i: i < 2, body, [0])[0], x.dtype)


class LeavesTensorFlow(keras.layers.Layer):
    def call(self, x):
        return tf.ensure_shape(tf.numpy_function(lambda a: a, [x], tf.float32), x.shape) + 0 * x


def model_of(layer, jit_compile):
    x = keras.Input((5, 3))
    model = tfpar.train.Model(x, keras.layers.Dense(1)(keras.layers.Flatten()(layer(x))))
    model.compile("sgd", "mse", jit_compile=jit_compile)
    return model


@pytest.mark.parametrize("layer_class", [Prints, PrintsInALoop, LeavesTensorFlow])
def test_auto_runs_without_xla_and_warns_once(layer_class):
    model = model_of(layer_class(name="special"), "auto")
    assert model.jit_compile
    with pytest.warns(
        UserWarning, match="The layer 'special' contains the operation .* which XLA cannot compile"
    ) as all_:
        model.fit(X, np.ones((8, 1)), batch_size=4, validation_data=(X, np.ones((8, 1))), verbose=0)
        model.predict(X, verbose=0)
    assert len([w for w in all_ if "XLA" in str(w.message)]) == 1
    assert not model.jit_compile and int(model.optimizer.iterations) == 2


def test_true_is_refused_with_the_remedy():
    model = model_of(Prints(name="special"), True)
    with pytest.raises(
        ValueError, match="The layer 'special' contains the operation 'PrintV2'.*Pass jit_compile=False"
    ):
        model.fit(X, np.ones((8, 1)), verbose=0)


def test_sparse_inputs_train():
    x = keras.Input((3,), sparse=True)
    model = tfpar.train.Model(x, keras.layers.Dense(1)(x))
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="which XLA cannot compile"):
        history = model.fit(tf.sparse.from_dense(X[:, 0]), np.ones((8, 1)), batch_size=8, epochs=2, verbose=0).history
    assert history["loss"][1] < history["loss"][0]


def test_ordinary_layers_stay_with_xla():
    tokens = keras.Input((5,), dtype="int32")
    hidden = keras.layers.Embedding(9, 4, mask_zero=True)(tokens)
    hidden = tfpar.layers.Bidirectional(tfpar.layers.GRU(3, return_sequences=True, dropout=0.1))(hidden)
    hidden = keras.layers.BatchNormalization()(tfpar.layers.LSTM(3)(hidden))
    model = tfpar.train.Model(tokens, keras.layers.Dense(3)(keras.layers.Dropout(0.1)(hidden)))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(global_clipnorm=1.0), loss, metrics=["accuracy"])
    x = np.arange(40).reshape(8, 5) % 9
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(x, x[:, 0] % 3, batch_size=4, validation_data=(x, x[:, 0] % 3), verbose=0)
    assert model.jit_compile


def test_an_optimizer_without_xla_gets_each_touched_row_of_a_table_once():
    seen = []

    class Watching(keras.optimizers.Adam):
        def update_step(self, gradient, variable, learning_rate):
            if isinstance(gradient, tf.IndexedSlices):
                seen.append(gradient.indices.numpy().tolist())
            super().update_step(gradient, variable, learning_rate)

    weights = []
    x, y = np.array([[1, 2, 1], [5, 2, 2]]), np.ones((2, 1), "float32")
    for arguments in ({"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": True}):
        keras.utils.set_random_seed(0)
        tokens = keras.Input((3,), dtype="int32")
        hidden = keras.layers.Flatten()(keras.layers.Embedding(9, 2)(tokens))
        model = tfpar.train.Model(tokens, keras.layers.Dense(1)(hidden))
        model.compile(Watching(0.1) if not weights else keras.optimizers.Adam(0.1), "mse", **arguments)
        model.fit(x, y, epochs=2, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    assert seen == [[1, 2, 5]] * 2
    for other in weights[1:]:
        for a, b in zip(weights[0], other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
