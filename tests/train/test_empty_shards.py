"""A replica without rows convolves and pools like the others, also where TensorFlow computes by oneDNN."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).parents[1] / "support" / "empty_shards.py"


def run(*arguments):
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1"}
    command = [sys.executable, SCRIPT, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_one_row_on_two_replicas_trains_like_on_one():
    one, two = run()
    for expected, actual in zip(one, two, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_convolutions_of_no_rows_are_still_wrong_by_onednn():
    """If this fails, `tfpar.train.empty_shards` can be removed."""
    assert run("stock") == [0, 8, 8, 3]  # of the inputs; [0, 6, 6, 4] is right
