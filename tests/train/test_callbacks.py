"""Callbacks: the order in which Keras calls them, early stopping, and tfpar's own."""

import keras
import numpy as np
import pytest
from training import X, Y, dense, trained

from tfpar.train import Model, StopAtStep, Throughput, finished_epochs, logging_callbacks


def sgd():
    return keras.optimizers.SGD(0.1)


class Recorder(keras.callbacks.Callback):
    """Callback that records every call: its name, the first argument, and the names in the logs."""

    def __init__(self):
        super().__init__()
        self.calls = []


def _recording(name):
    def record(self, *args, **logs):
        self.calls.append((name, *[sorted(a) if isinstance(a, dict) else a for a in (*args, *logs.values())]))

    return record


for _name in [name for name in dir(keras.callbacks.Callback) if name.startswith("on_")]:
    setattr(Recorder, _name, _recording(_name))


def test_callbacks_are_called_in_the_order_of_keras():
    recorders = [Recorder(), Recorder()]
    for recorder, model_class in zip(recorders, (Model, keras.Model), strict=True):
        trained(dense, model_class, sgd, False, callbacks=[recorder], validation_data=(X[:4], Y[:4]))
    assert recorders[0].calls == recorders[1].calls
    assert [call[0] for call in recorders[0].calls].count("on_train_batch_end") == 6


def test_early_stopping_restores_the_best():
    class Ruin(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.weights = getattr(self, "weights", None) or self.model.get_weights()
            self.model.set_weights([w + 10 for w in self.model.get_weights()])

    stopping = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    ruin = Ruin()
    model, history = trained(dense, Model, sgd, True, epochs=9, callbacks=[stopping, ruin], validation_data=(X, Y))
    assert len(history["loss"]) == 3
    for weight, best in zip(model.get_weights(), ruin.weights, strict=True):
        np.testing.assert_array_equal(weight, best)


def test_stop_at_step():
    recorder = Recorder()
    model, _ = trained(dense, Model, sgd, True, epochs=9, callbacks=[StopAtStep(4), recorder])
    assert [call[0] for call in recorder.calls].count("on_train_batch_end") == 4
    assert model.optimizer.iterations == 4


def test_stop_at_step_refuses_several_steps_per_execution():
    model = dense(Model)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), steps_per_execution=2)
    with pytest.raises(ValueError, match="steps_per_execution=1; got 2"):
        model.fit(X, Y, callbacks=[StopAtStep(4)], verbose=0)


def test_throughput_is_the_median_of_later_epochs(monkeypatch):
    now = iter(np.cumsum([0.0, 5.0, 1.0, 1.0, 0.0, 2.0, 0.0, 2.0, 0.0, 0.5, 0.0, 0.5]).tolist())
    monkeypatch.setattr("tfpar.train.callbacks.time.perf_counter", lambda: next(now))
    throughput = Throughput(examples=12)
    for epoch in range(3):
        throughput.on_epoch_begin(epoch)
        for batch in range(2):
            throughput.on_train_batch_begin(batch)
            throughput.on_train_batch_end(batch)
        throughput.on_epoch_end(epoch)
        if epoch == 0:
            assert throughput.examples_per_second == 12 / 6
    assert throughput.examples_per_second == pytest.approx(12 / 4)


class Crash(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def test_a_stopped_run_is_resumed(tmp_path):
    def optimizer():
        return keras.optimizers.SGD(0.1, momentum=0.9)

    whole, _ = trained(dense, Model, optimizer, True, epochs=4)
    assert finished_epochs(tmp_path) == 0
    with pytest.raises(KeyboardInterrupt):
        trained(dense, Model, optimizer, True, epochs=4, callbacks=[*logging_callbacks(tmp_path), Crash()])
    assert finished_epochs(tmp_path) == 2
    resumed, history = trained(dense, Model, optimizer, True, epochs=4, callbacks=logging_callbacks(tmp_path))
    assert len(history["loss"]) == 4
    for weight, expected in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-6)
    assert (tmp_path / "history.csv").read_text().count("\n") == 5
    assert finished_epochs(tmp_path) == 4
