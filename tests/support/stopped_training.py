"""Trains a small model in a worker, of which the last one gets SIGTERM: WHERE SERVER DIRECTORY.

WHERE is "training", with checkpoints in DIRECTORY, or "evaluation"; SERVER is "server" for TensorFlow's gRPC server, or
"shared_memory".

Prints whether this worker accepts connections of other programs, the ports at which it listens, and how many batches of
training and of evaluation it has ended before it stopped.
"""

import json
import os
import signal
import subprocess
import sys

import keras
import numpy as np
from isolated import strategy_of

import tfpar
from tfpar.cluster.rendezvous import unreachable_workers

config = tfpar.cluster.read_tf_config()
strategy = strategy_of({"shared_memory": "multiworker", "server": "grpc"}[sys.argv[2]], timeout_s=60.0)
x, y = np.ones((32, 3), "float32"), np.zeros((32, 1), "float32")
done = {"training": 0, "evaluation": 0}


def count(where):
    def after_batch(batch, logs):
        done[where] += 1
        if where == sys.argv[1] and batch == 4 and config.index == len(config.workers) - 1:
            os.kill(os.getpid(), signal.SIGTERM)

    return after_batch


def list_ports():
    """List the addresses at which this process listens, as `ss` reports them."""
    listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split()[3] for line in listening if f"pid={os.getpid()}," in line]


keras.utils.set_random_seed(1)
with strategy.scope():
    inputs = keras.Input((3,))
    model = tfpar.train.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse", jit_compile=False)
checkpoints = tfpar.train.Checkpoints(sys.argv[3], every="2epochs")
counter = keras.callbacks.LambdaCallback(on_train_batch_end=count("training"), on_test_batch_end=count("evaluation"))
try:
    model.fit(
        x,
        y,
        batch_size=4,
        epochs=9,
        shuffle=False,
        validation_data=(x, y),
        verbose=0,
        callbacks=[counter, checkpoints if sys.argv[1] == "training" else tfpar.train.StopOnRequest()],
    )
finally:
    accepts = "accepts" if unreachable_workers([config.address], -1) == [] else "refuses"
    print(f"{accepts} connections, listens at {list_ports()}", file=sys.stderr)
    print(json.dumps(done), file=sys.stderr)
