"""Trains a small model for a fixed number of steps, from the last checkpoint: DIRECTORY STEPS.

The chief writes the number of steps and of restarts to DIRECTORY/progress. Each step takes as many seconds longer as
DIRECTORY/pace contains. On SIGUSR1 the worker drops its connections to the others. The last line is a hash of the
weights.
"""

import hashlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import keras
import numpy as np

import tfpar

STEPS_PER_EPOCH, BATCH = 10, 8


class Report(keras.callbacks.Callback):
    """Callback that writes the progress, and slows training down."""

    def __init__(self, directory):
        super().__init__()
        self._directory = directory

    def on_train_batch_end(self, batch, logs=None):
        step = int(self.model.optimizer.iterations.numpy())
        if tfpar.cluster.is_chief():
            temporary = self._directory / "progress.new"
            temporary.write_text(json.dumps([step, int(os.environ["TFPAR_RESTARTS"])]))
            os.replace(temporary, self._directory / "progress")
        time.sleep(float((self._directory / "pace").read_text()))


def drop_connections(*_):
    """Shut down all sockets of this process."""
    for name in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(name))) as connection:
                connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # no socket, or not connected
            continue


def make_model():
    """Make a compiled recurrent model with dropout."""
    inputs = keras.Input((5, 4))
    hidden = keras.layers.Dropout(0.2)(tfpar.layers.LSTM(8)(inputs))
    model = tfpar.train.Model(inputs, keras.layers.Dense(3)(hidden))
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def main():
    """Train, and print the hash."""
    directory, steps = Path(sys.argv[1]), int(sys.argv[2])
    strategy = tfpar.cluster.make_strategy(timeout_s=60.0)
    signal.signal(signal.SIGUSR1, drop_connections)
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(0)
    x = random.normal(size=(STEPS_PER_EPOCH * BATCH, 5, 4)).astype("float32")
    y = random.integers(0, 3, len(x))
    with strategy.scope():
        model = make_model()
    callbacks = [Report(directory), tfpar.train.Checkpoints(directory / "model" / "checkpoints", every="7steps")]
    model.fit(x, y, batch_size=BATCH, epochs=steps // STEPS_PER_EPOCH, verbose=0, callbacks=callbacks)
    weights = b"".join(np.ascontiguousarray(weight).tobytes() for weight in model.get_weights())
    print(json.dumps({"steps": int(model.optimizer.iterations.numpy()), "sha256": hashlib.sha256(weights).hexdigest()}))


if __name__ == "__main__":
    main()
