"""A signal to one worker ends all after the same batch, with exit code 3."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "support" / "stopped_training.py"

pytestmark = pytest.mark.timeout(300)


@functools.cache
def run(where, server):
    """Return the lines on standard error, and the names of the checkpoints."""
    with tempfile.TemporaryDirectory() as directory:
        script = ["python", SCRIPT, where, server, directory]
        command = [sys.executable, "-m", "tfpar", "launch", "--workers", "2", "--", *script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=280)
        assert done.returncode == 3, done.stderr
        return done.stderr.splitlines(), os.listdir(directory)


@pytest.mark.parametrize(
    "where, server, batches",
    [
        ("training", "shared_memory", {"training": 6, "evaluation": 0}),
        pytest.param("evaluation", "shared_memory", {"training": 8, "evaluation": 6}, marks=pytest.mark.slow),
        pytest.param("training", "server", {"training": 6, "evaluation": 0}, marks=pytest.mark.slow),
    ],
)
def test_all_workers_stop_after_the_same_batch(where, server, batches):
    lines, checkpoints = run(where, server)
    assert checkpoints == (["checkpoint-00000006"] if where == "training" else [])
    for worker in range(2):
        assert f"[worker {worker}] {json.dumps(batches)}" in lines
    assert "[worker 1] stopped by SIGTERM; the same command continues from the last checkpoint" in lines
    assert "[worker 0] stopped with the other workers; the same command continues from the last checkpoint" in lines
    assert [line for line in lines if line.startswith("error: worker ")]


@pytest.mark.skipif(shutil.which("ss") is None, reason="`ss` lists open ports")
def test_workers_of_one_host_open_no_port():
    listening = [line for line in run("training", "shared_memory")[0] if "listens at" in line]
    assert set(listening) == {f"[worker {worker}] refuses connections, listens at []" for worker in range(2)}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ss") is None, reason="`ss` lists open ports")
def test_tensorflows_server_on_loopback_addresses_listens_on_that_interface_alone():
    listening = {line for line in run("training", "server")[0] if "listens at" in line}
    assert len(listening) == 2
    for line in listening:
        addresses = re.findall(r"'([^']+)'", line)
        assert addresses and all("%lo:" in address for address in addresses)


COMPILING = """
import sys
import keras
import numpy as np
import tfpar


class Begin(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        print("compiling", flush=True)

    def on_train_batch_end(self, batch, logs=None):
        print("compiled", flush=True)


inputs = x = keras.Input((600, 4))
for _ in range(3):
    x = tfpar.layers.LSTM(8, return_sequences=True, unroll=True)(x)
model = tfpar.train.Model(inputs, keras.layers.Dense(1)(x))
model.compile("sgd", "mse", jit_compile=True)
data = np.zeros((2, 600, 4), "float32")
model.fit(data, data[..., :1], verbose=0, callbacks=[Begin(), tfpar.train.StopOnRequest()])
"""


@pytest.mark.slow
def test_a_request_during_a_compilation_ends_the_program_in_time():
    with subprocess.Popen([sys.executable, "-c", COMPILING], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "compiling\n"
        time.sleep(3)
        process.terminate()
        begin = time.monotonic()
        assert process.wait(timeout=60) == 3
        assert time.monotonic() - begin < 20
        assert process.stdout.read() == ""
