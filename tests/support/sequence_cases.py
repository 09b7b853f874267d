"""Trains each case on one device and with the time axis divided; prints a line of JSON for each: SETTING WAY CASE...

SETTING is a key of `SETTINGS`; those of workers need TF_CONFIG. WAY is "eager", "graph" or "xla". A line has the
results of one device and of the setting.
"""

import functools
import json
import os
import sys
import traceback
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

import tfpar
from tfpar.train.replica_mesh import ReplicaMesh

ROWS, TIME, FEATURES, CLASSES = 8, 7, 3, 4
RANDOM = np.random.default_rng(0)
LAYERS = tfpar.layers


def numbers(*shape):
    return RANDOM.normal(size=shape).astype("float32")


X, STATIC, STEPS = numbers(ROWS, TIME, FEATURES), numbers(ROWS, FEATURES), numbers(ROWS, TIME, 2)
LAST, TAGS = RANDOM.integers(0, CLASSES, ROWS), RANDOM.integers(0, CLASSES, (ROWS, TIME))
STEP_WEIGHTS, ROW_WEIGHTS = np.abs(numbers(ROWS, TIME)), np.abs(numbers(ROWS, 1))
LENGTHS = np.array([TIME, 0, 1, 3, 4, 6, 5, 2])[:, None]
RIGHT_PADDED = np.arange(TIME) < LENGTHS
MASKS = {
    "right": RIGHT_PADDED,
    "left": RIGHT_PADDED[:, ::-1],
    "gaps": (np.arange(TIME) % 3 != 1) & RIGHT_PADDED[::-1],
    "nothing": np.zeros((ROWS, TIME), bool),
}
TOKENS = RANDOM.integers(1, 9, (ROWS, TIME)) * RIGHT_PADDED


def per_step(cell, **arguments):
    """Predict two numbers at each step."""
    x = keras.Input((None, FEATURES))
    return tfpar.train.Model(x, keras.layers.Dense(2)(cell(4, return_sequences=True, **arguments)(x)))


def both_directions(cell):
    x = keras.Input((None, FEATURES))
    hidden = LAYERS.Bidirectional(cell(4, return_sequences=True))(x)
    return tfpar.train.Model(x, keras.layers.Dense(2)(hidden))


def last_of_both():
    """The exchanges of its two directions have the same shapes, and the tape visits them in any order."""
    x = keras.Input((None, FEATURES))
    return tfpar.train.Model(x, keras.layers.Dense(2)(LAYERS.Bidirectional(LAYERS.MLSTM(4))(x)))


def stack():
    """Tag tokens by a stack of layers of all kinds, with dropout and a residual connection."""
    tokens = keras.Input((TIME,), dtype="int32")
    x = keras.layers.Embedding(9, 4, mask_zero=True)(LAYERS.TokenDropout(0.2, seed=3)(tokens))
    x = LAYERS.Bidirectional(LAYERS.GRU(2, return_sequences=True, dropout=0.2, seed=1))(x)
    x = LAYERS.Dropout(0.3, seed=2)(x) + x
    x = keras.layers.LayerNormalization()(LAYERS.MinLSTM(4, return_sequences=True)(x))
    x = keras.layers.Concatenate()([x, LAYERS.LSTM(3, return_sequences=True, recurrent_dropout=0.2, seed=4)(x)])
    return tfpar.train.Model(tokens, keras.layers.Dense(CLASSES)(x))


def masked(cell, zero_output_for_mask=False, has_initial=True, **arguments):
    """Classify by the last output and the states, from initial states that depend on an input without time."""
    x, mask, static = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool"), keras.Input((FEATURES,))
    layer = cell(4, return_state=True, zero_output_for_mask=zero_output_for_mask, **arguments)
    initial = [keras.layers.Dense(size)(static) for size in layer.state_size] if has_initial else None
    output, *states = layer(x, initial_state=initial, mask=mask)
    hidden = keras.layers.Concatenate()([output, *states, static])
    hidden = keras.layers.BatchNormalization()(hidden)
    return tfpar.train.Model([x, mask, static], keras.layers.Dense(CLASSES)(hidden))


def masked_steps(cell, **arguments):
    """Predict at each step, also at masked steps, from an initial state."""
    x, mask, static = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool"), keras.Input((FEATURES,))
    layer = cell(4, return_sequences=True, **arguments)
    initial = [keras.layers.Dense(size)(static) for size in layer.state_size]
    hidden = layer(x, initial_state=initial, mask=mask)
    return tfpar.train.Model([x, mask, static], keras.layers.Dense(2)(hidden))


def two_headed():
    """Tag each step, and classify the whole by the states of both directions."""
    x = keras.Input((TIME, FEATURES), name="x")
    hidden = LAYERS.MinGRU(4, return_sequences=True)(x)
    last = LAYERS.Bidirectional(LAYERS.LSTM(3))(hidden)
    outputs = {"tags": keras.layers.Dense(CLASSES)(hidden), "last": keras.layers.Dense(CLASSES)(last)}
    return tfpar.train.Model({"x": x}, outputs)


def translator():
    """Start a decoder from the final states of an encoder, within a nested model."""
    source, target = keras.Input((None, FEATURES)), keras.Input((None, FEATURES))
    encoder = keras.Model(source, LAYERS.LSTM(3, return_state=True)(source)[1:])
    hidden = LAYERS.LSTM(3, return_sequences=True)(target, initial_state=encoder(source))
    return tfpar.train.Model([source, target], keras.layers.Dense(2)(hidden))


def shared_noise():
    """Drop features of all steps alike, and states: each replica needs the masks of one device."""
    x = keras.Input((None, FEATURES))
    hidden = keras.layers.SpatialDropout1D(0.3, seed=1)(keras.layers.Dense(6)(x))
    hidden = keras.layers.Dropout(0.3, noise_shape=(None, 1, None), seed=2)(hidden)
    last = keras.layers.Dropout(0.3, seed=3)(LAYERS.MinGRU(4)(hidden))
    return tfpar.train.Model(x, keras.layers.Dense(CLASSES)(last))


def time_distributed():
    x = keras.Input((None, FEATURES))
    hidden = keras.layers.TimeDistributed(keras.layers.Dense(4, activation="tanh"))(x)
    return tfpar.train.Model(x, LAYERS.MinGRU(2, return_sequences=True)(hidden))


def grouped():
    """Tag each step, and classify the whole, with dropout; no layer reads all rows."""
    x = keras.Input((None, FEATURES))
    hidden = LAYERS.Dropout(0.3, seed=1)(LAYERS.MinGRU(4, return_sequences=True)(x))
    last = LAYERS.Dropout(0.3, seed=2)(LAYERS.Bidirectional(LAYERS.LSTM(3))(hidden))
    outputs = [keras.layers.Dense(2, name="steps")(hidden), keras.layers.Dense(CLASSES, name="last")(last)]
    return tfpar.train.Model(x, outputs)


def sequential():
    return tfpar.train.Sequential([LAYERS.MinGRU(4, return_sequences=True), LAYERS.GRU(3), keras.layers.Dense(CLASSES)])


def cross_entropy(**arguments):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **arguments)


REGRESS = {"x": X, "y": STEPS}
CASES = {
    "min_gru": dict(make=functools.partial(per_step, LAYERS.MinGRU)),
    "lstm": dict(make=functools.partial(per_step, LAYERS.LSTM)),
    "gru": dict(make=functools.partial(per_step, LAYERS.GRU)),
    "rg_lru": dict(make=functools.partial(per_step, LAYERS.RGLRU, num_heads=2)),
    "mlstm": dict(make=functools.partial(per_step, LAYERS.MLSTM)),
    "para_gru": dict(make=functools.partial(per_step, LAYERS.ParaGRU)),
    "newton": dict(make=functools.partial(per_step, LAYERS.ParaLSTM, evaluation="newton")),
    "quasi_newton": dict(make=functools.partial(per_step, LAYERS.GRU, evaluation="newton")),
    "both_directions_min_gru": dict(make=functools.partial(both_directions, LAYERS.MinGRU)),
    "both_directions_mlstm": dict(make=functools.partial(both_directions, LAYERS.MLSTM)),
    "last_of_both_directions_mlstm": dict(make=last_of_both, data={"x": X, "y": STATIC[:, :2]}),
    "stack": dict(make=stack, data={"x": TOKENS, "y": TAGS}, loss=cross_entropy(), metrics=["accuracy"]),
    "two_headed": dict(
        make=two_headed,
        data={
            "x": {"x": X},
            "y": {"tags": TAGS, "last": LAST},
            "sample_weight": {"tags": STEP_WEIGHTS, "last": ROW_WEIGHTS},
        },
        loss={"tags": cross_entropy(reduction="mean_with_sample_weight"), "last": cross_entropy()},
        metrics={"tags": ["accuracy"], "last": ["accuracy"]},
    ),
    "row_weights": dict(
        make=functools.partial(per_step, LAYERS.MinGRU), data={**REGRESS, "sample_weight": ROW_WEIGHTS}, metrics=["mae"]
    ),
    "summed": dict(
        make=functools.partial(per_step, LAYERS.MinGRU), loss=keras.losses.MeanSquaredError(reduction="sum"), rate=1e-3
    ),
    "translator": dict(make=translator, data={"x": [X, X[:, ::-1]], "y": STEPS}),
    "shared_noise": dict(make=shared_noise, data={"x": X, "y": LAST}, loss=cross_entropy()),
    "time_distributed": dict(make=time_distributed),
    "grouped": dict(
        make=grouped, data={"x": X, "y": [STEPS, LAST]}, loss=["mse", cross_entropy()], metrics=[["mae"], ["accuracy"]]
    ),
    "sequential": dict(make=sequential, data={"x": X, "y": LAST}, loss=cross_entropy(), metrics=["accuracy"]),
    "one_row": dict(make=functools.partial(per_step, LAYERS.LSTM), data={"x": X[:1], "y": STEPS[:1]}),
    "one_step": dict(make=functools.partial(per_step, LAYERS.MinGRU), data={"x": X[:, :1], "y": STEPS[:, :1]}),
    "one_step_mlstm": dict(make=functools.partial(per_step, LAYERS.MLSTM), data={"x": X[:, :1], "y": STEPS[:, :1]}),
    "two_steps_lstm": dict(
        make=functools.partial(both_directions, LAYERS.LSTM), data={"x": X[:, :2], "y": STEPS[:, :2]}
    ),
    "one_step_gru": dict(make=functools.partial(both_directions, LAYERS.GRU), data={"x": X[:, :1], "y": STEPS[:, :1]}),
    "lstm_gaps_last": dict(
        make=functools.partial(masked, LAYERS.LSTM),
        data={"x": [X, MASKS["gaps"], STATIC], "y": LAST},
        loss=cross_entropy(),
    ),
    "min_gru_nothing_last_backwards": dict(
        make=functools.partial(masked, LAYERS.MinGRU, go_backwards=True, has_initial=False),
        data={"x": [X, MASKS["nothing"], STATIC], "y": LAST},
        loss=cross_entropy(),
    ),
    "mlstm_left_last_zeros": dict(
        make=functools.partial(masked, LAYERS.MLSTM, zero_output_for_mask=True),
        data={"x": [X, MASKS["left"], STATIC], "y": LAST},
        loss=cross_entropy(),
    ),
    "min_gru_right_steps": dict(
        make=functools.partial(masked_steps, LAYERS.MinGRU), data={"x": [X, MASKS["right"], STATIC], "y": STEPS}
    ),
}


def results(strategy, way, make, data=REGRESS, loss="mse", metrics=(), rate=0.1):
    keras.utils.set_random_seed(1)
    with strategy.scope():
        model = make()
        optimizer = keras.optimizers.SGD(rate, momentum=0.9)
        how = {"jit_compile": way == "xla", "run_eagerly": way == "eager"}
        model.compile(optimizer, loss, weighted_metrics=metrics, **how)
    initial = model.get_weights() if model.built else None
    options = {"batch_size": 3, "verbose": 0}  # batches of 3, 3 and 2 rows
    history = model.fit(**data, epochs=1, shuffle=False, **options).history
    predictions = keras.tree.flatten(model.predict(data["x"], **options))
    return {
        "moved": max(float(abs(new - old).max()) for new, old in zip(model.get_weights(), initial, strict=True))
        if initial
        else 1,
        "history": history,
        "weights": [weight.tolist() for weight in model.get_weights()],
        "predictions": [each.tolist() for each in predictions],
        "evaluated": model.evaluate(**data, return_dict=True, **options),
    }


def count_exchanged(strategy):
    """Return the bytes that a replica sends within a training step, for sequences of two lengths."""
    exchange, sent = ReplicaMesh.exchange, {}

    def count(mesh, tensor):
        sent[steps].append(tensor.shape.num_elements() * tensor.dtype.size)
        return exchange(mesh, tensor)

    ReplicaMesh.exchange = count
    with strategy.scope():
        model = both_directions(LAYERS.MinGRU)
        model.compile("sgd", "mse", jit_compile=True)
    for steps in (1024, 16384):
        sent[steps] = []
        model.train_on_batch(np.ones((2, steps, FEATURES), "float32"), np.ones((2, steps, 2), "float32"))
    ReplicaMesh.exchange = exchange
    replicas = strategy.num_replicas_in_sync
    return {str(steps): sum(sizes) / replicas for steps, sizes in sent.items()}


def read_different_batches(strategy, rows, steps):
    """Return the error if workers read batches of different sizes."""
    index = tfpar.cluster.read_tf_config().index
    with strategy.scope():
        model = per_step(LAYERS.MinGRU)
        model.compile("sgd", "mse", jit_compile=False)
    shape = (4 + rows * index, 6 + steps * index)
    try:
        model.train_on_batch(np.ones((*shape, FEATURES), "float32"), np.ones((*shape, 2), "float32"))
    except ValueError as error:
        return str(error)


def draw_noise(strategy):
    """Return the random numbers of each slice, by the name of a layer."""
    layers = {
        "dropout": keras.layers.Dropout(0.5),
        "alpha": keras.layers.AlphaDropout(0.5),
        "gaussian": keras.layers.GaussianDropout(0.5),
        "noise": keras.layers.GaussianNoise(1.0),
        "spatial": keras.layers.SpatialDropout1D(0.5),
        "shared": keras.layers.Dropout(0.5, noise_shape=(None, 1, None)),
    }
    x = keras.Input((None, 8))
    with strategy.scope():
        model = tfpar.train.Model(x, {name: layer(x) for name, layer in layers.items()})

    def call(data):
        with keras.StatelessScope():
            return model(data, training=True)

    outputs = model.distribute_strategy.run(call, args=(tf.ones((2, 6, 8)),))
    of_replicas = {name: strategy.experimental_local_results(output) for name, output in outputs.items()}
    return {name: [each.numpy().tolist() for each in numbers] for name, numbers in of_replicas.items()}


# Further cases, of other results.
FACTS = {
    "noise": draw_noise,
    "exchanged": count_exchanged,
    "different_rows": functools.partial(read_different_batches, rows=1, steps=0),
    "different_steps": functools.partial(read_different_batches, rows=0, steps=3),
}


SETTINGS = {
    "sequence2": {"replicas": 2},
    "sequence3": {"replicas": 3},
    "mesh2x2": {"mesh_shape": (2, 2)},
    "workers2": {},
    "workers4": {"mesh_shape": (2, 2)},
}


def main():
    setting, way, *names = sys.argv[1:]
    strategy = tfpar.cluster.make_strategy("sequence", **SETTINGS[setting])
    for name in names:
        try:
            if name in FACTS:
                print(json.dumps({"fact": FACTS[name](strategy)}), flush=True)
                continue
            with tfpar.cluster.outside_scope(), mock.patch.dict(os.environ, TF_CONFIG=""):
                one = results(tf.distribute.get_strategy(), way, **CASES[name])
            line = {"one": one, "divided": results(strategy, way, **CASES[name])}
        except Exception:
            line = {"error": traceback.format_exc()}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
