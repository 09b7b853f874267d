"""The competitors of `tfpar bench training` run."""

import subprocess
import sys

import pytest

EPOCH = """
import sys
from tfpar.bench import training
training.EXAMPLES, training.TIMED_EPOCHS = 256, 1
print(training.COMPETITORS[sys.argv[1]]("lstm"))
"""


@pytest.mark.parametrize("competitor", ["tfpar", "keras"])
def test_an_epoch_is_timed(competitor):
    run = subprocess.run([sys.executable, "-c", EPOCH, competitor], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert 0 < float(run.stdout.splitlines()[-1]) < 100
