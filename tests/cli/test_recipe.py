"""What recipes do alike, as their flags say."""

import subprocess
import sys

import pytest

FLAGS = """
import sys
from absl import flags
from tfpar.cli.flags import define_common
define_common(dataset="none", cells=("lstm",))
flags.FLAGS(["recipe", "--export=", "--epochs=1", *sys.argv[1:]])
"""

COUNTED = """
import keras, numpy as np, tensorflow as tf
import tfpar
from tfpar.cli import recipe

class Calls(keras.callbacks.Callback):
    ends = []

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(batch)

inputs = keras.Input((2,))
model = tfpar.train.Model(inputs, keras.layers.Dense(2)(inputs))
batches = tf.data.Dataset.from_tensors((np.ones((4, 2), "float32"), np.zeros((4, 2), "float32"))).repeat(8)
model.compile(recipe.optimizer(recipe.training_steps(batches)), "mse", jit_compile=False)
recipe.fit(model, batches, None, examples=32, callbacks=[Calls()])
print(*Calls.ends)
"""


def last_line(code: str, flags: list[str]) -> str:
    """What `code` prints last in a process with these flags."""
    run = subprocess.run([sys.executable, "-c", FLAGS + code, *flags], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "flags, ends",
    [([], [7]), (["--steps_per_execution=4"], [3, 7]), (["--steps=3"], [0, 1, 2])],
    ids=["eight by default", "as the flag says", "one by one up to --steps"],
)
def test_so_many_steps_are_taken_at_a_time(flags, ends):
    assert last_line(COUNTED, flags).split() == [str(end) for end in ends]


THREADS = """
from tfpar.cli import recipe

recipe.start()
import tensorflow as tf
print(tf.config.threading.get_intra_op_parallelism_threads())
"""


@pytest.mark.parametrize("flags, threads", [(["--noxla"], "1"), (["--noxla", "--strategy=mirrored"], "1"), ([], "0")])
def test_without_xla_an_operation_keeps_to_one_thread(flags, threads):
    assert last_line(THREADS, flags) == threads
