"""What recipes do alike, as their flags say."""

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from fork_server import run_fork

RECIPES = Path(__file__).parents[2] / "recipes"

CONFIG = """
import sys
from absl import flags
from tfpar.cli.flags import define_flags, read_config
from tfpar.tasks.config import Config
define_flags(Config)
flags.FLAGS(["recipe", "--export=", "--epochs=1", *sys.argv[1:]])
config = read_config(Config)
"""

COUNTED = """
import keras, numpy as np, tensorflow as tf
import tfpar
from tfpar.tasks import training

class Calls(keras.callbacks.Callback):
    ends = []

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(batch)

inputs = keras.Input((2,))
model = tfpar.train.Model(inputs, keras.layers.Dense(2)(inputs))
batches = tf.data.Dataset.from_tensors((np.ones((4, 2), "float32"), np.zeros((4, 2), "float32"))).repeat(8)
model.compile(
    training.make_optimizer(config, training.count_steps(config, batches)), "mse", jit_compile=False
)
training.fit(config, model, batches, None, examples=32, callbacks=[Calls()])
print(*Calls.ends)
"""


def last_line(code: str, flags: list[str]) -> str:
    """What `code` prints last in a process with these flags."""
    run = run_fork(["-c", CONFIG + code, *flags], timeout=120)
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
from tfpar.tasks.startup import start

start(config)
import tensorflow as tf
print(tf.config.threading.get_intra_op_parallelism_threads())
"""


@pytest.mark.parametrize("flags, threads", [(["--noxla"], "1"), (["--noxla", "--strategy=mirrored"], "1"), ([], "0")])
def test_without_xla_an_operation_keeps_to_one_thread(flags, threads):
    assert last_line(THREADS, flags) == threads


NOTEBOOK = """
import contextlib, io, sys
import tensorflow as tf

tf.constant(1)
from tfpar.tasks.startup import start

with contextlib.redirect_stderr(io.StringIO()) as messages:
    session = start(config)
print(type(session).__name__, messages.getvalue().count("TensorFlow has started before"))
"""


@pytest.mark.parametrize("flags, notes", [(["--noxla"], 1), ([], 0)])
def test_a_run_after_tensorflow_has_started_says_that_it_is_slower(flags, notes):
    assert last_line(NOTEBOOK, flags) == f"Session {notes}"


def start_recipe(name, *flags, before=""):
    """Runs a recipe as a command, after some Python."""
    code = f"{before}\nimport runpy, sys\nsys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, RECIPES / f"{name}.py", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    "name, flags, defaults",
    [
        ("image_classification", "--model cnn", {"epochs": "50", "batch_size": "32", "xla": "false", "views": "true"}),
        ("image_classification", "--model row_lstm", {"epochs": "120", "bend": "0.015", "xla": "true"}),
        ("image_classification", "--epochs 7 --model cnn", {"epochs": "50"}),
        ("image_classification", "--target micro", {"views": "false", "export": "int8"}),
        ("faces", "--model row_lstm", {"epochs": "200", "xla": "true"}),
        ("speech", "--task digits", {"epochs": "28", "xla": "true"}),
        ("speech", "--model lstm --streaming", {"epochs": "26", "export": "saved_model,float32,float16,dynamic"}),
        ("speech", "--model cnn", {"epochs": "26", "xla": "false"}),
        ("sentiment", "--target micro", {"wide": "0.0", "export": "int8"}),
        ("translation", "", {"epochs": "4", "vocabulary_size": "4000"}),
    ],
)
def test_help_shows_the_defaults_that_hold(name, flags, defaults):
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    run = start_recipe(name, *flags.split(), "--help", before="import sys; sys.modules['tensorflow'] = None")
    assert run.returncode == 0, run.stderr
    found = dict(re.findall(r"^  --(?:\[no\])?(\w+):.*?\(default: '(.*?)'\)", run.stdout, re.MULTILINE | re.DOTALL))
    assert {flag: found[flag] for flag in defaults} == defaults
    assert run.stdout == start_recipe(name, "--help", *flags.split()).stdout
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 2  # of both


@pytest.mark.parametrize(
    "name, flags, module, package, extra",
    [
        ("sentiment", "", "matplotlib", "matplotlib", "recipes"),
        ("sentiment", "--export=", "tokenizers", "tokenizers", "recipes"),
        ("sentiment", "--smoke --model_dir m", "tensorboard", "tensorboard", "recipes"),
        ("sentiment", "--export= --dataset tfds:imdb_reviews", "tensorflow_datasets", "tensorflow-datasets", "recipes"),
        ("image_classification", "--smoke", "PIL", "pillow", "recipes"),
        ("faces", "", "matplotlib", "matplotlib", "recipes"),
        ("translation", "--smoke", "sacrebleu", "sacrebleu", "recipes"),
        ("speech", "--task digits --smoke", "jiwer", "jiwer", "speech"),
        ("speech", "--model lstm --target micro", "tflite_micro", "tflite-micro", "micro"),
    ],
)
def test_a_missing_package_is_named_before_tensorflow_starts(name, flags, module, package, extra):
    run = start_recipe(
        name, *flags.split(), before=f"import sys; sys.modules['{module}'] = sys.modules['keras'] = None"
    )
    error = run.stderr.splitlines()[-1]
    assert (run.returncode, run.stdout) == (2, "") and error.startswith(f"error: {package} is not installed; ")
    assert error.endswith(f"Run: pip install 'tfpar[{extra}]'")


@pytest.mark.parametrize(
    "flags, words",
    [
        ("--cell lsmt", "did you mean 'lstm'?"),
        ("--export flaot32", "got 'flaot32'; did you mean 'float32'?"),
        ("--celll lstm", "Did you mean: cell"),
        ("--batch_size -1", "--batch_size=-1: -1 is not a positive integer"),
        ("--epochs 0.5", "--epochs=0.5: it must be a whole number"),
        ("--dropout x", "--dropout=x: it must be a number"),
        ("--xla=perhaps", "it must be true or false"),
        ("--model_dir /dev/null/m", "--model_dir /dev/null/m cannot be written"),
    ],
)
def test_a_wrong_flag_is_one_line(flags, words):
    run = start_recipe("sentiment", *flags.split())
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1) and words in run.stderr
