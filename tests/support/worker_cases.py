"""Runs cases of training in a setting, and prints their results as JSON lines: SETTING DIRECTORY CASE...

SETTING is "one", "mirrored2" or, with TF_CONFIG, "multiworker2". A case returns `same`, results that do not depend on
the setting, and `own`, results of this process.
"""

import contextlib
import functools
import io
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from isolated import strategy_of
from training import X, Y
from worker_models import PlainMean, Size, compiled, two_headed, weights

import tfpar
from tfpar.errors import WorkerLostError

CONFIG = tfpar.cluster.read_tf_config()
WORKER, WORKERS = (CONFIG.index, len(CONFIG.workers)) if CONFIG else (0, 1)
SHORT_TIMEOUT_S = 5.0
FIT = {"batch_size": 4, "shuffle": False, "verbose": 0}
CALLBACK = keras.callbacks.LambdaCallback


def record_losses(batch_logs):
    return CALLBACK(on_train_batch_end=lambda batch, logs: batch_logs.append(float(logs["loss"])))


def writing_callbacks(strategy, directory):
    """Train with callbacks that write, which each worker passes with its own directory."""
    writers = [
        keras.callbacks.ModelCheckpoint(directory / "checkpoint.weights.h5", save_weights_only=True),
        keras.callbacks.BackupAndRestore(directory / "backup", delete_checkpoint=False),
        keras.callbacks.CSVLogger(directory / "history.csv"),
        keras.callbacks.TensorBoard(directory / "logs", write_graph=False),
    ]
    batch_logs, printed = [], io.StringIO()
    with contextlib.redirect_stdout(printed):
        compiled(strategy).fit(X, Y, epochs=2, callbacks=[*writers, record_losses(batch_logs)], **{**FIT, "verbose": 2})
    return {"batch_logs": batch_logs}, {
        "files": sorted(path.name for path in directory.iterdir()),
        "printed": printed.getvalue(),
    }


def validation(strategy, directory):
    model = compiled(strategy, metrics=["accuracy"])
    history = model.fit(X, Y, epochs=3, validation_data=(X[:7], Y[:7]), **FIT).history
    return {"history": history, "weights": weights(model)}, {}


def early_stopping(strategy, directory):
    """Train with weights that are spoiled after each epoch, so that the first is the best."""
    best = []

    def spoil(epoch, logs):
        best.append(weights(model))
        model.set_weights([w + 10 for w in model.get_weights()])

    stopping = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    model = compiled(strategy)
    history = model.fit(
        X, Y, epochs=9, validation_data=(X, Y), callbacks=[stopping, CALLBACK(on_epoch_end=spoil)], **FIT
    ).history
    return {"weights": weights(model)}, {"epochs": len(history["loss"]), "best": best[0], "weights": weights(model)}


def stopped_by_one_worker(strategy, directory):
    def stop(epoch, logs):
        if epoch == 1 and WORKER == WORKERS - 1:
            model.stop_training = True

    model = compiled(strategy)
    history = model.fit(X, Y, epochs=5, callbacks=[CALLBACK(on_epoch_end=stop)], **FIT).history
    return {"weights": weights(model)}, {"epochs": len(history["loss"])}


def stopped_in_an_epoch(strategy, directory):
    """Stop all workers at the same step."""
    model = compiled(strategy)
    model.fit(X, Y, epochs=5, callbacks=[tfpar.train.StopAtStep(4)], **FIT)
    return {"weights": weights(model)}, {"steps": int(model.optimizer.iterations.numpy())}


def stopped_alone(strategy, directory):
    """Stop one worker in the middle of an epoch."""

    def stop(batch, logs):
        model.stop_training = WORKER == 0

    model = compiled(strategy)
    try:
        model.fit(X, Y, callbacks=[CALLBACK(on_train_batch_end=stop)], **FIT)
    except RuntimeError as error:
        return {}, {"message": str(error)}


def resumed(strategy, directory):
    """Interrupt training after the second of four epochs, and resume it from other initial weights."""

    class Interruption(Exception):
        pass

    def interrupt(epoch, logs=None):
        if epoch == 2:
            raise Interruption

    def backup():
        return keras.callbacks.BackupAndRestore(directory / "backup")

    whole = compiled(strategy)
    whole.fit(X, Y, epochs=4, **FIT)
    with contextlib.suppress(Interruption):
        compiled(strategy).fit(X, Y, epochs=4, callbacks=[backup(), CALLBACK(on_epoch_begin=interrupt)], **FIT)
    backed_up = (directory / "backup").exists()
    again = compiled(strategy, seed=6 + WORKER)
    history = again.fit(X, Y, epochs=4, callbacks=[backup()], **FIT).history
    return {"weights": weights(again), "again": weights(whole)}, {
        "epochs": len(history["loss"]),
        "backed_up": backed_up,
        "has_backup": (directory / "backup").exists(),
        "weights": weights(again),
        "uninterrupted": weights(whole),
        "iterations": int(again.optimizer.iterations.numpy()),
    }


def within_scope(strategy, directory):
    """Call all methods within the scope; one worker writes files, and all write one file."""
    shared = directory.parent / "shared.keras"
    writers = [
        keras.callbacks.ModelCheckpoint(directory / "checkpoint.keras"),
        keras.callbacks.ModelCheckpoint(directory / "checkpoint.weights.h5", save_weights_only=True),
        keras.callbacks.BackupAndRestore(directory / "backup", delete_checkpoint=False),
        keras.callbacks.CSVLogger(directory / "history.csv"),
        keras.callbacks.TensorBoard(directory / "logs", write_graph=True),
    ]
    with strategy.scope():
        model = compiled(strategy, metrics=["accuracy"])
        history = model.fit(X, Y, epochs=2, validation_data=(X[:7], Y[:7]), callbacks=writers, **FIT).history
        evaluated, predicted = model.evaluate(X, Y, verbose=0), model.predict(X[:7], verbose=0)
        losses = [model.train_on_batch(X, Y), model.test_on_batch(X, Y)]
        if WORKER == 0:
            model.save(directory / "saved.keras")
            model.save_weights(directory / "saved.weights.h5")
            model.load_weights(directory / "saved.weights.h5")
            model.export(directory / "exported", verbose=False)
            tfpar.export.saved_model(model, directory / "saved_model")
        for _ in range(5):
            model.save(shared)
            loaded = keras.models.load_model(shared, compile=False)
    strategy_again = strategy_of(sys.argv[1], SHORT_TIMEOUT_S)
    return {
        "history": history,
        "evaluated": evaluated,
        "predicted": predicted.tolist(),
        "losses": losses,
        "loaded": weights(loaded),
        "weights": weights(model),
    }, {"files": sorted(path.name for path in directory.iterdir()), "again": strategy_again is strategy}


def loaded_by_the_chief(strategy, directory):
    model = compiled(strategy)
    if WORKER == 0:
        model.set_weights([np.full_like(w, 0.25) for w in model.get_weights()])
    model.fit(X, Y, epochs=1, **FIT)
    return {"weights": weights(model)}, {}


def later_epochs(strategy, directory):
    """Train from `initial_epoch`; a `CallbackList` is refused on several workers."""
    model = compiled(strategy)
    refusal = None
    if WORKERS > 1:
        try:
            model.fit(X, Y, callbacks=keras.callbacks.CallbackList([], model=model), **FIT)
        except ValueError as error:
            refusal = str(error)
    history = model.fit(X, Y, epochs=4, initial_epoch=2, **FIT)
    return {"weights": weights(model)}, {"epochs": history.epoch, "refusal": refusal}


def predicting(strategy, directory, jit_compile=False, steps_per_execution=1, also_evaluates=True):
    """Predict seven rows in batches of three: the last has one row, and one replica has none of it."""
    x, y = X[:7], {"steps": np.zeros((7, 5, 3)), "last": X[:7, 0, :2]}
    model = compiled(
        strategy,
        two_headed,
        loss={"steps": "mse", "last": "mae"},
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution,
    )
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(3)
    predictions, same = [model.predict(x, 3, verbose=0)], {}
    if also_evaluates:
        predictions.append(model.predict(dataset, verbose=0))
        same["evaluated"] = [model.evaluate(x, y, 3, verbose=0), model.evaluate(dataset, verbose=0)]
        same["history"] = model.fit(dataset, epochs=2, verbose=0).history
    return {
        "predictions": [{name: rows.tolist() for name, rows in outputs.items()} for outputs in predictions],
        "weights": weights(model),
        **same,
    }, {"rows": [len(rows) for outputs in predictions for rows in outputs.values()]}


def rates(strategy, directory):
    seen = []
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * (0.5 if epoch == 1 else 1.0)),
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.1, patience=1, min_delta=10.0),
        CALLBACK(
            on_epoch_end=lambda epoch, logs: seen.append(
                float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
            )
        ),
    ]
    model = compiled(strategy)
    history = model.fit(X, Y, epochs=4, validation_data=(X, Y), callbacks=callbacks, **FIT).history
    return {"history": history, "rates": seen, "weights": weights(model)}, {"rates": seen}


def on_batches(strategy, directory):
    model = compiled(strategy, metrics=["accuracy"])
    losses = [model.train_on_batch(X, Y), model.train_on_batch(X[:7], Y[:7], sample_weight=np.linspace(0, 2, 7))]
    losses += [model.train_on_batch(X, Y, class_weight={0: 0.2, 1: 1.0, 2: 3.0})]
    return {
        "losses": losses,
        "tested": model.test_on_batch(X[:7], Y[:7]),
        "predicted": model.predict_on_batch(X[:7]).tolist(),
        "weights": weights(model),
    }, {}


def shuffled(strategy, directory):
    model = compiled(strategy)
    model.fit(X, Y, epochs=3, **{**FIT, "shuffle": True})
    return {"weights": weights(model)}, {}


def shuffled_dataset(strategy, directory):
    model = compiled(strategy)
    model.fit(tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(10, seed=3).batch(4), epochs=3, verbose=0)
    return {"weights": weights(model)}, {}


def distributed_dataset(strategy, directory, **arguments):
    """Train on four shards of two rows: two global batches."""
    replicas = strategy.num_replicas_in_sync

    def pipeline(context):
        shards = tf.data.Dataset.from_tensor_slices((X[:8], Y[:8])).batch(4 // replicas)
        return shards.shard(context.num_input_pipelines, context.input_pipeline_id)

    model = compiled(strategy, metrics=["accuracy"], **arguments)
    dataset = strategy.distribute_datasets_from_function(pipeline)
    history = model.fit(dataset, epochs=2, verbose=0).history
    return {"weights": weights(model), "history": history, "evaluated": model.evaluate(dataset, verbose=0)}, {}


def bucketed(strategy, directory):
    """Train on thirteen sequences of two lengths, six rows a batch."""
    random = np.random.default_rng(0)
    sequences = [random.integers(1, 9, length) for length in [3, 8, 5, 2, 7, 4, 1, 6, 8, 2, 3, 5, 4]]
    batches = tfpar.data.bucketed_batches(
        sequences, np.arange(13), batch_size=6, boundaries=(4, 8), shuffle=True, seed=1
    )

    def make(model_class):
        tokens = keras.Input((None,), dtype="int32")
        embedded = keras.layers.Embedding(9, 3, mask_zero=True)(tokens)
        return model_class(tokens, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(embedded)))

    model = compiled(strategy, make, loss=Size("mean_with_sample_weight"), seen=13)
    seen, order = [], []

    def note(batch, logs):
        seen.append(np.asarray(logs["seen"]))
        order.append((seen[-1] - (seen[-2] if batch else 0)).tolist())

    history = model.fit(batches, epochs=2, verbose=0, callbacks=[CALLBACK(on_train_batch_end=note)]).history
    return {"order": order, "loss": history["loss"], "weights": weights(model)}, {
        "order": order,
        "seen": [np.asarray(count).tolist() for count in history["seen"]],
    }


def own_compute_loss(strategy, directory):
    model = compiled(strategy, model_class=PlainMean)
    history = model.fit(X, Y, epochs=2, validation_data=(X[:7], Y[:7]), **FIT).history
    return {"history": history, "weights": weights(model)}, {}


def unseeded(strategy, directory):
    """Train without a seed; must be the first case of a process."""
    try:
        compiled(strategy, seed=None).fit(X, Y, epochs=9, **{**FIT, "shuffle": True})
    except Exception as error:
        return {}, {"refusal": f"{type(error).__name__}: {error}"}
    return {}, {"refusal": None}


def lost(strategy, directory, signal_number):
    """Send the last worker a signal; return after how long the first one has named it."""
    note = directory.parent / "last_worker"

    def send(batch, logs):
        if batch == 1 and WORKER == WORKERS - 1:
            note.write_text(f"{os.getpid()} {time.time()}")
            os.kill(os.getpid(), signal_number)

    try:
        compiled(strategy).fit(X, Y, epochs=999, callbacks=[CALLBACK(on_train_batch_end=send)], **FIT)
    except WorkerLostError as error:
        pid, since = note.read_text().split()
        after_s = time.time() - float(since)
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
        return {}, {"workers": error.workers, "message": str(error), "after_s": after_s, "addresses": CONFIG.workers}


CASES = {
    "writing_callbacks": writing_callbacks,
    "validation": validation,
    "early_stopping": early_stopping,
    "stopped_by_one_worker": stopped_by_one_worker,
    "stopped_in_an_epoch": stopped_in_an_epoch,
    "resumed": resumed,
    "within_scope": within_scope,
    "loaded_by_the_chief": loaded_by_the_chief,
    "later_epochs": later_epochs,
    "predicting": predicting,
    "predicting_three_at_once": functools.partial(predicting, steps_per_execution=3),
    "predicting_xla": functools.partial(predicting, jit_compile=True, also_evaluates=False),
    "rates": rates,
    "on_batches": on_batches,
    "shuffled": shuffled,
    "shuffled_dataset": shuffled_dataset,
    "distributed_dataset": distributed_dataset,
    "distributed_dataset_three_at_once": functools.partial(distributed_dataset, steps_per_execution=3),
    "bucketed": bucketed,
    "own_compute_loss": own_compute_loss,
}
# Each of these needs processes of its own.
ALONE = {
    "killed": functools.partial(lost, signal_number=signal.SIGKILL),
    "suspended": functools.partial(lost, signal_number=signal.SIGSTOP),
    "unseeded": unseeded,
    "stopped_alone": stopped_alone,
}


def meet(directory):
    """Wait until all processes have started, which a short time limit does not include."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"started{WORKER}").touch()
    while len(list(directory.glob("started*"))) < WORKERS:
        time.sleep(0.05)


def main():
    setting, root, *names = sys.argv[1:]
    timeout_s = SHORT_TIMEOUT_S if names[0] in ("suspended", "stopped_alone") else 30.0
    meet(Path(root, setting, names[0]))
    strategy = strategy_of(setting, timeout_s)
    for name in names:
        directory = Path(root, setting, name, f"worker{WORKER}")
        directory.mkdir(parents=True)
        try:
            same, own = {**CASES, **ALONE}[name](strategy, directory)
        except Exception:
            print(json.dumps({"case": name, "error": traceback.format_exc()[-3000:]}), flush=True)
            sys.exit(1)  # later collectives would fail too
        print(json.dumps({"case": name, "same": same, "own": own}), flush=True)


if __name__ == "__main__":
    main()
