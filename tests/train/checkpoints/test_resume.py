"""Training that continues from a checkpoint ends like training that was not interrupted, at every step."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from training import X, Y, dense

import tfpar
from tfpar.checkpoint_interval import parse_interval
from tfpar.errors import UserError
from tfpar.testing import assert_resumes_at_every_step
from tfpar.train import Checkpoints, Model
from tfpar.train.checkpoints.schedule import Schedule

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
FIT = {"batch_size": 4, "verbose": 0}


def make(optimizer=lambda: keras.optimizers.SGD(0.1, momentum=0.9), **compile):
    """Make a model with dropout and batch normalization, and with every kind of state that an optimizer can have."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input((5, 4))
    hidden = keras.layers.Dense(4)(keras.layers.Flatten()(keras.layers.Dropout(0.5)(inputs)))
    model = Model(inputs, keras.layers.Dense(3)(keras.layers.BatchNormalization()(hidden)))
    model.compile(optimizer(), LOSS, **{"metrics": ["accuracy"], "jit_compile": False, **compile})
    return model


def adamw():
    return keras.optimizers.AdamW(0.01, use_ema=True, gradient_accumulation_steps=2, global_clipnorm=1.0)


def shuffled():
    return tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(10, seed=3).batch(4)


def test_every_step_with_dropout_accumulation_and_averaged_weights():
    assert_resumes_at_every_step(
        lambda: make(adamw),
        shuffled,
        steps=5,
        make_callbacks=lambda: [
            keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True),
            keras.callbacks.ReduceLROnPlateau("val_loss", patience=1, min_delta=10),
        ],
        validation_data=(X, Y),
    )


class Random(keras.utils.PyDataset):
    """Data that Python shuffles, and that are augmented by NumPy's global generator."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        rows = slice(4 * index, 4 * index + 4)
        return X[rows] + np.random.normal(), Y[rows]


def seeded_random():
    random.seed(3)
    np.random.seed(3)
    return Random()


class StopAfter(keras.callbacks.Callback):
    def __init__(self, steps):
        super().__init__()
        self.remaining = steps

    def on_train_batch_begin(self, batch, logs=None):
        if self.remaining == 0:
            raise KeyboardInterrupt
        self.remaining -= 1


DATA = {
    "arrays": (lambda: X, {"y": Y, "batch_size": 4}),
    "PyDataset": (seeded_random, {}),
    "repeated": (lambda: shuffled().repeat(), {"steps_per_epoch": 4}),
}


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("step", [5])
def test_data_continue_where_they_were(tmp_path, data, step):
    """The process of the resumed run makes its data anew, and its generators are at other numbers."""
    make_data, fit = DATA[data]
    fit = {"epochs": 3, "verbose": 0, **fit}
    whole = make()
    history = whole.fit(make_data(), **fit).history
    with pytest.raises(KeyboardInterrupt):
        model = make()
        model.fit(make_data(), callbacks=[Checkpoints(tmp_path, "1steps"), StopAfter(step)], **fit)
    resumed = make()
    x = make_data()
    random.random(), np.random.normal()
    resumed_history = resumed.fit(x, callbacks=[Checkpoints(tmp_path, "1steps")], **fit).history
    for weight, expected in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    assert resumed_history == history


def test_unseeded_shuffling_is_refused_within_an_epoch(tmp_path):
    def unseeded():
        tf.random.set_seed(np.random.SeedSequence().entropy % 2**31)
        return tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(10).batch(4)

    with pytest.raises(KeyboardInterrupt):
        make().fit(unseeded(), callbacks=[Checkpoints(tmp_path, "1steps"), StopAfter(1)], verbose=0)
    model = make()
    with pytest.raises(ValueError, match=r"in another order .* Give shuffling a seed"):
        model.fit(unseeded(), callbacks=[Checkpoints(tmp_path, "1steps")], verbose=0)


def test_a_finished_run_trains_no_further_and_more_epochs_continue_it(tmp_path):
    def train(epochs, **checkpoints):
        model = make(adamw)
        callbacks = [Checkpoints(tmp_path, **checkpoints)] if checkpoints is not None else []
        history = model.fit(X, Y, epochs=epochs, callbacks=callbacks, **FIT).history
        return model, history["loss"]

    finished, losses = train(2)
    again, same = train(2)
    assert same == losses
    for weight, expected in zip(again.get_weights(), finished.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    whole = make(adamw)
    expected_losses = whole.fit(X, Y, epochs=4, **FIT).history["loss"]
    more, losses = train(4)
    assert losses == expected_losses
    for weight, expected in zip(more.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_a_directory_is_refused_while_another_run_uses_it_and_free_after_a_failure(tmp_path):
    class Failing(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            with pytest.raises(UserError, match="is in use by another run"):
                make().fit(X, Y, callbacks=[Checkpoints(tmp_path)], **FIT)
            raise RuntimeError("an end")

    with pytest.raises(RuntimeError, match="an end"):
        make().fit(X, Y, callbacks=[Failing(), Checkpoints(tmp_path)], **FIT)
    make().fit(X, Y, callbacks=[Checkpoints(tmp_path)], **FIT)


def test_a_second_fit_after_a_resume_trains_all_its_epochs(tmp_path):
    make().fit(X, Y, epochs=2, callbacks=[Checkpoints(tmp_path)], **FIT)
    model = make()
    model.fit(X, Y, epochs=3, callbacks=[Checkpoints(tmp_path)], **FIT)
    assert len(model.fit(X, Y, epochs=2, **FIT).history["loss"]) == 2


def test_changed_facts_and_models_are_refused_and_restart_begins_anew(tmp_path):
    model = make()
    model.fit(X, Y, callbacks=[Checkpoints(tmp_path, fingerprint={"batch_size": 4})], **FIT)
    with pytest.raises(ValueError, match=r"`batch_size` was 4 in this run; got 8\. .* restart=True"):
        model.fit(X, Y, callbacks=[Checkpoints(tmp_path, fingerprint={"batch_size": 8})], **FIT)
    other = dense(Model)
    other.compile("sgd", LOSS, jit_compile=False)
    with pytest.raises(ValueError, match=r"The model is not that of the checkpoint: variable 0 was .*; got "):
        other.fit(X, Y, callbacks=[Checkpoints(tmp_path, fingerprint={"batch_size": 4})], **FIT)
    history = other.fit(X, Y, epochs=3, callbacks=[Checkpoints(tmp_path, restart=True)], **FIT).history
    assert len(history["loss"]) == 3


def test_a_damaged_checkpoint_is_named_and_all_damaged_are_an_error(tmp_path):
    model = make()
    expected = model.fit(X, Y, epochs=3, callbacks=[Checkpoints(tmp_path)], **FIT).history
    newest, previous = sorted(tmp_path.iterdir(), reverse=True)
    (newest / "arrays.npz").write_bytes(b"torn")
    with pytest.warns(
        UserWarning, match=f"{newest.name} is damaged: arrays.npz has 4 bytes.*; {previous.name} is used"
    ):
        history = make().fit(X, Y, epochs=3, callbacks=[Checkpoints(tmp_path)], **FIT).history
    assert history == expected
    for path in tmp_path.glob("checkpoint-*"):
        (path / "state.json").unlink()
    with pytest.raises(ValueError, match=r"No checkpoint in .* is intact .* pass restart=True"):
        make().fit(X, Y, epochs=3, callbacks=[Checkpoints(tmp_path)], **FIT)


def test_the_clock_is_read_after_few_steps():
    """Steps take 0.1 s; the workers agree on the time at some of them, since that is a collective."""
    step, saved, looks = 0, 0, []

    def agree(own_s):
        looks.append(step)
        return 0.1 * (step - saved)

    schedule = Schedule(parse_interval("10s"), agree)
    schedule.start(0)
    due = []
    for step in range(1, 301):  # noqa: B007 - `agree` reads it
        if schedule.is_due(step):
            due.append(step)
            saved = step
            schedule.note_saved(step)
    assert due == [100, 200, 300] and len(looks) < 50


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    class Ruin(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                self.model.set_weights([weight * np.nan for weight in self.model.get_weights()])

    with pytest.warns(UserWarning, match="is not finite after step 9: no checkpoint is written"):
        make().fit(X, Y, epochs=3, callbacks=[Ruin(), Checkpoints(tmp_path)], **FIT)
    assert Checkpoints(tmp_path).next_epoch() == 2


def test_logs_have_each_step_once(tmp_path):
    def callbacks():
        return [
            keras.callbacks.CSVLogger(tmp_path / "history.csv", append=True),
            keras.callbacks.TensorBoard(tmp_path / "logs", write_graph=False, update_freq=1),
            Checkpoints(tmp_path / "checkpoints", "2steps"),
        ]

    with pytest.raises(KeyboardInterrupt):
        make().fit(X, Y, epochs=4, callbacks=[*callbacks(), StopAfter(7)], **FIT)
    make().fit(X, Y, epochs=4, callbacks=callbacks(), **FIT)
    assert [line.split(",")[0] for line in (tmp_path / "history.csv").read_text().splitlines()] == [*["epoch"], *"0123"]
    steps = {}
    for path in (tmp_path / "logs").rglob("*tfevents*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                steps.setdefault(value.tag, []).append(event.step)
    assert sorted(steps["epoch_loss"]) == [0, 1, 2, 3]
    assert sorted(steps["batch_loss"]) == list(range(1, 13))


@pytest.mark.parametrize(("keep", "every"), [(1, "1epoch"), (0, "1epoch"), (2, "often")])
def test_wrong_arguments_are_refused(tmp_path, keep, every):
    with pytest.raises(ValueError, match="`keep`|`every`|`keep"):
        Checkpoints(tmp_path, every, keep)


def test_a_stock_model_is_refused(tmp_path):
    model = dense(keras.Model)
    model.compile("sgd", LOSS)
    with pytest.raises(ValueError, match=r"Checkpoints are for `tfpar\.train\.Model\.fit`"):
        model.fit(X, Y, callbacks=[Checkpoints(tmp_path)], verbose=0)
    assert tfpar.train.Checkpoints is Checkpoints


def test_backups_of_keras_begin_an_epoch_anew_and_shorten_the_next_fit(tmp_path):
    """Once Keras restores the position within an epoch, `tfpar.train.Checkpoints` can build on it."""
    steps = []

    def train(*callbacks, epochs):
        model = dense(keras.Model)
        model.compile("sgd", LOSS)
        count = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: steps.append(batch))
        backup = keras.callbacks.BackupAndRestore(tmp_path, save_freq=1, delete_checkpoint=False)
        model.fit(X, Y, epochs=epochs, callbacks=[backup, count, *callbacks], **FIT)
        return model

    with pytest.raises(KeyboardInterrupt):
        train(StopAfter(4), epochs=2)
    steps.clear()
    model = train(epochs=2)
    assert steps == [0, 1, 2]  # the second epoch, of which one step was done
    assert model.fit(X, Y, epochs=1, **FIT).epoch == []
