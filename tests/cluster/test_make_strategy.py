"""Strategies that are made: devices, and what happens when TensorFlow has started before."""

import json
import subprocess
import sys

import pytest
import tensorflow as tf

from tfpar.cluster import make_strategy

PROGRAM = """
import json, tensorflow as tf
from tfpar.cluster import make_strategy
from tfpar.errors import UserError

strategy = make_strategy("mirrored", replicas=2)
again = make_strategy("mirrored", replicas=2)
answer = {
    "type": type(strategy).__name__,
    "replicas": [strategy.num_replicas_in_sync, again.num_replicas_in_sync],
    "devices": len(tf.config.list_logical_devices("CPU")),
    "choice": str(strategy.tfpar_choice),
}
try:
    make_strategy("mirrored", replicas=3)
except UserError as error:
    answer["too_late"] = str(error)
print(json.dumps(answer))
"""


@pytest.mark.timeout(120)
def test_mirrored_and_too_late():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer == {
        "type": "MirroredStrategy",
        "replicas": [2, 2],
        "devices": 2,
        "choice": "mirrored, 2 x CPU, since it was asked for",
        "too_late": "Cannot make 3 CPU devices: TensorFlow has already started with 2. "
        "Call tfpar.cluster.make_strategy before anything else uses TensorFlow.",
    }


@pytest.mark.parametrize("name", ["one", "auto"])
def test_one_device_is_the_default_strategy(name):
    strategy = make_strategy(name)
    assert strategy is tf.distribute.get_strategy()
    assert (strategy.num_replicas_in_sync, strategy.tfpar_choice.name) == (1, "one")


@pytest.mark.parametrize("replicas", [-1, 1.5, "two"])
def test_refuses_odd_numbers(replicas):
    with pytest.raises(ValueError, match="`replicas`, expected a positive integer"):
        make_strategy("mirrored", replicas=replicas)
