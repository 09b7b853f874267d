"""The competitors of `tfpar bench training` and `tfpar bench translation` run."""

import importlib.util
import subprocess
import sys

import pytest

CLASSIFIER = """
import sys
from tfpar.bench import training
from tfpar.bench.classifiers import Sequences, Texts
training.TIMED_EPOCHS = 1
sequences = Sequences(64, time=5, features=3, units=4, hidden=4, classes=2, batch=16)
for case in (Texts(bidirectional=False, examples=256), Texts(bidirectional=True, examples=256), sequences):
    print(training.COMPETITORS[sys.argv[1]](case))
"""


TRANSLATOR = """
import sys
from tfpar.bench import translation
translation.PAIRS, translation.UNITS, translation.VOCABULARY, translation.TIMED_EPOCHS = 200, 16, 50, 1
print(translation.COMPETITORS[sys.argv[1]]("luong", translation.batches()))
"""


@pytest.mark.parametrize(
    "code, competitor",
    [
        (CLASSIFIER, "tfpar"),
        (CLASSIFIER, "keras"),
        (CLASSIFIER, "torch"),
        (TRANSLATOR, "tfpar"),
        (TRANSLATOR, "torch"),
    ],
)
def test_an_epoch_is_timed(code, competitor):
    if competitor == "torch" and importlib.util.find_spec("torch") is None:
        pytest.skip("needs the extra `bench`")
    run = subprocess.run([sys.executable, "-c", code, competitor], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert 0 < float(run.stdout.splitlines()[-1]) < 100
