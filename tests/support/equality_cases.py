"""Trains each case in a setting, and prints the results as a line of JSON: SETTING XLA CASE...

SETTING is "one", "mirrored2", "mirrored4" or, with TF_CONFIG, "multiworker2" or "grpc2"; XLA is "xla" or "graph".
"""

import functools
import json
import sys
import traceback

import keras
import numpy as np
import tensorflow as tf
from isolated import strategy_of

import tfpar

STEPS_AN_EPOCH, EPOCHS, BATCH = 10, 2, 8
ROWS = STEPS_AN_EPOCH * BATCH
TIME, FEATURES, CLASSES = 5, 4, 3

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(ROWS, TIME, FEATURES)).astype("float32")
Y = RANDOM.integers(0, CLASSES, ROWS).astype("int32")
TOKENS = RANDOM.integers(1, 9, (ROWS, TIME)) * (np.arange(TIME) < RANDOM.integers(1, TIME + 1, (ROWS, 1)))
TAGS = RANDOM.integers(0, CLASSES, (ROWS, TIME)).astype("int32")
WEIGHTS = np.linspace(0, 2, ROWS).astype("float32")


def classifier(**lstm):
    x = keras.Input((TIME, FEATURES))
    return tfpar.train.Model(x, keras.layers.Dense(CLASSES)(tfpar.layers.LSTM(4, **lstm)(x)))


def regularized():
    x = keras.Input((TIME, FEATURES))
    hidden = tfpar.layers.LSTM(4, kernel_regularizer="l2", activity_regularizer="l1")(x)
    return tfpar.train.Model(x, keras.layers.Dense(CLASSES, bias_regularizer="l2")(hidden))


def dropping():
    x = keras.Input((TIME, FEATURES))
    hidden = tfpar.layers.LSTM(4, dropout=0.3, recurrent_dropout=0.3, seed=1)(x)
    return tfpar.train.Model(x, keras.layers.Dense(CLASSES)(tfpar.layers.Dropout(0.5, seed=2)(hidden)))


def batch_normalized(synchronized):
    x = keras.Input((TIME, FEATURES))
    hidden = keras.layers.BatchNormalization(momentum=0.7, synchronized=synchronized)(tfpar.layers.LSTM(4)(x))
    return tfpar.train.Model(x, keras.layers.Dense(CLASSES)(hidden))


def batch_normalized_where_valid():
    tokens = keras.Input((TIME,), dtype="int32")
    hidden = tfpar.layers.MaskedConvolution(4, 3, normalization="batch")(
        keras.layers.Embedding(9, 3, mask_zero=True)(tokens)
    )
    return tfpar.train.Model(tokens, keras.layers.Dense(CLASSES)(tfpar.layers.MeanPooling()(hidden)))


def tagger(outputs=1):
    """Its first output is masked; a second one is not."""
    tokens = keras.Input((TIME,), dtype="int32")
    hidden = tfpar.layers.LSTM(4, return_sequences=True)(keras.layers.Embedding(9, 3, mask_zero=True)(tokens))
    masked = keras.layers.Dense(CLASSES, name="tags")(hidden)
    if outputs == 1:
        return tfpar.train.Model(tokens, masked)
    last = keras.layers.Dense(CLASSES, name="last")(hidden[:, -1])
    return tfpar.train.Model(tokens, [masked, last])


def with_table():
    """Make a model with a table so large that its gradient is moved as rows if batches have a static shape."""
    tokens = keras.Input((TIME,), dtype="int32")
    hidden = tfpar.layers.LSTM(4)(keras.layers.Embedding(5000, 3)(tokens))
    return tfpar.train.Model(tokens, keras.layers.Dense(CLASSES)(hidden))


def private():
    """Make a model that trains by DP-SGD: with dropout, noise, and examples whose gradients are clipped."""
    model = dropping()
    model = tfpar.train.DPModel(model.inputs, model.outputs)
    model.privacy = tfpar.train.DPSGD(clip_norm=0.3, noise_multiplier=0.5, batch_size=BATCH, seed=7)
    return model


def adversarial():
    tokens = keras.Input((TIME,), dtype="int32")
    embeddings = tfpar.train.AdversarialStep(0.5)(keras.layers.Embedding(9, 3, mask_zero=True)(tokens))
    return tfpar.train.AdversarialModel(tokens, keras.layers.Dense(CLASSES)(tfpar.layers.LSTM(4)(embeddings)))


def static_batches():
    return tf.data.Dataset.from_tensor_slices((600 * TOKENS, Y)).batch(BATCH, drop_remainder=True)


def committee():
    x = keras.Input((TIME, FEATURES))
    return tfpar.train.Model(
        x, keras.layers.Reshape((1, CLASSES))(keras.layers.Dense(CLASSES)(tfpar.layers.LSTM(4)(x)))
    )


def cross_entropy(**arguments):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **arguments)


def root_mean_square(y_true, y_pred):
    """Compute one number for a batch, which is no mean over its rows."""
    y_true = keras.ops.one_hot(y_true, CLASSES)
    return keras.ops.sqrt(keras.ops.mean(keras.ops.square(y_true - y_pred)))


def planted():
    """Make infinite inputs in two batches, in row 3 and in row 5: not on the first of several replicas."""
    x = X.copy()
    x[3 * BATCH + 5] = x[7 * BATCH + 3] = np.inf
    return x


SGD = functools.partial(keras.optimizers.SGD, 0.5)
ADAM = functools.partial(keras.optimizers.Adam, 0.05, epsilon=1e-3)
CLASSIFY = {"x": X, "y": Y}
TAG = {"x": TOKENS, "y": TAGS}
CASES = {
    "momentum": dict(optimizer=functools.partial(SGD, momentum=0.9)),
    "adam": dict(optimizer=ADAM, predicts=True),
    "adamw": dict(optimizer=functools.partial(keras.optimizers.AdamW, 0.05, weight_decay=0.1, epsilon=1e-3)),
    "loss_scaling": dict(
        optimizer=lambda: keras.optimizers.LossScaleOptimizer(SGD(), initial_scale=2.0**8),
        data={"x": planted(), "y": Y},
        metrics=None,  # the class of NaN depends on the compiler
    ),
    "clipnorm": dict(optimizer=functools.partial(SGD, clipnorm=0.02)),
    "global_clipnorm": dict(optimizer=functools.partial(SGD, global_clipnorm=0.05)),
    "clipvalue": dict(optimizer=functools.partial(SGD, clipvalue=0.005)),
    "accumulation": dict(
        make=tagger, data=TAG, optimizer=functools.partial(ADAM, gradient_accumulation_steps=4, clipnorm=0.1)
    ),
    "ema": dict(optimizer=functools.partial(SGD, use_ema=True, ema_momentum=0.9)),
    "ema_overwrites": dict(optimizer=functools.partial(SGD, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3)),
    "schedule": dict(optimizer=lambda: keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.9))),
    "steps_per_execution": dict(optimizer=ADAM, steps_per_execution=4),
    "class_weight": dict(fit={"class_weight": {0: 0.2, 1: 1.0, 2: 3.0}}),
    "sample_weight": dict(data={**CLASSIFY, "sample_weight": WEIGHTS}),
    "mean_with_sample_weight": dict(
        data={**CLASSIFY, "sample_weight": WEIGHTS}, loss=cross_entropy(reduction="mean_with_sample_weight")
    ),
    "weightless_rows": dict(
        make=committee,
        loss=tfpar.tasks.text_classification.EnsembleCrossentropy(),
        data={**CLASSIFY, "sample_weight": (np.arange(ROWS) % BATCH < 3).astype("float32")},
        metrics=None,
    ),
    "masked_steps": dict(make=tagger, data=TAG, predicts=True),
    "ignored_class": dict(
        make=functools.partial(classifier, return_sequences=True),
        data={"x": X, "y": TAGS},
        loss=cross_entropy(ignore_class=0),
    ),
    "two_losses": dict(
        make=functools.partial(tagger, outputs=2),
        data={"x": TOKENS, "y": [TAGS, Y]},
        loss=[cross_entropy(), cross_entropy()],
        loss_weights=[1.0, 0.3],
        metrics=None,
        predicts=True,
    ),
    "loss_of_a_whole_batch": dict(loss=root_mean_square, data={"x": X[: ROWS - 3], "y": Y[: ROWS - 3]}, predicts=True),
    "summed_loss": dict(loss=cross_entropy(reduction="sum"), optimizer=functools.partial(SGD, clipnorm=0.1)),
    "batch_statistics": dict(make=functools.partial(batch_normalized, True)),
    "valid_statistics": dict(make=batch_normalized_where_valid, data={"x": TOKENS, "y": Y}, fit={"batch_size": 7}),
    "rows_of_a_table": dict(
        make=with_table, data=lambda: {"x": static_batches()}, fit={"batch_size": None}, optimizer=ADAM
    ),
    "ragged_last_batch": dict(data={"x": X[: ROWS - 3], "y": Y[: ROWS - 3]}, optimizer=ADAM, predicts=True),
    "uneven_shards": dict(fit={"batch_size": 7}, make=dropping),
    "empty_shards": dict(data={"x": X[: ROWS - 7], "y": Y[: ROWS - 7]}, make=dropping),
    "regularization": dict(make=regularized),
    "shuffled": dict(fit={"shuffle": True}),
    "dp_sgd": dict(make=private, fit={"batch_size": 7}),
    "adversarial": dict(make=adversarial, data={"x": TOKENS, "y": Y}),
}

# Statistics of the whole batch need an all-reduce within the forward pass, which XLA cannot compile.
SYNCHRONIZED = ("batch_statistics", "valid_statistics")


def run(
    strategy,
    jit_compile,
    make=classifier,
    optimizer=SGD,
    loss=None,
    data=CLASSIFY,
    fit=None,
    predicts=False,
    **compiled,
):
    """Train and, with `predicts`, evaluate and predict; return all results."""
    keras.utils.set_random_seed(5)
    compiled = {"loss": loss or cross_entropy(), "metrics": ["accuracy"], **compiled}
    with strategy.scope():
        model = make()
        model.compile(optimizer(), jit_compile=jit_compile, **compiled)
    start, data = model.get_weights(), data() if callable(data) else data  # no tensors before the strategy is made
    fit = {"batch_size": BATCH, "epochs": EPOCHS, "shuffle": False, "verbose": 0, **(fit or {})}
    batch_logs = []
    recorder = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: batch_logs.append(float(logs["loss"]))
    )
    history = model.fit(**data, **fit, callbacks=[recorder]).history
    weights = model.get_weights()
    predictions = []
    if predicts:
        outputs = keras.tree.flatten(model.predict(data["x"], 9, verbose=0))
        predictions = [model.evaluate(**data, batch_size=BATCH, verbose=0), *(p.tolist() for p in outputs)]
    return {
        "weights": [w.tolist() for w in weights],
        "slots": [np.asarray(v).tolist() for v in model.optimizer.variables],
        "history": history,
        "batch_logs": batch_logs,
        "predictions": predictions,
        "moved": max(float(np.abs(a - b).max()) for a, b in zip(weights, start, strict=True)),
        "xla": model.jit_compile,
    }


def main():
    setting, xla, *names = sys.argv[1:]
    strategy = strategy_of(setting, timeout_s=30)
    for name in names:
        try:
            result = run(strategy, xla == "xla" and name not in SYNCHRONIZED, **CASES[name])
        except Exception:
            print(json.dumps({"case": name, "error": traceback.format_exc()[-3000:]}), flush=True)
            sys.exit(1)  # later collectives would fail too
        print(json.dumps({"case": name, **result}), flush=True)


if __name__ == "__main__":
    main()
