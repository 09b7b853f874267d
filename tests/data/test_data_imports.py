"""What may be imported without what."""

import subprocess
import sys

import pytest

import tfpar.data


@pytest.mark.parametrize(
    "module",
    [
        "tfpar.data",
        "tfpar.tasks.text_classification.tokenizer",
        "tfpar.tasks.translation.subwords",
        "tfpar.tasks.text_classification.load",
        "tfpar.tasks.translation.load",
        "tfpar.data.batching.bucketing",
        "tfpar.tasks.translation.batches",
        "tfpar.tasks.speech_recognition.load",
        "tfpar.tasks.speech_recognition.synthesis",
    ],
)
def test_importing_starts_no_tensorflow(module):
    program = (
        f"import sys, {module}; print([m for m in ('tensorflow', 'tensorflow_datasets', 'keras') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_found_and_others_are_not():
    for name in tfpar.data.__all__ * 2:  # twice: a module of the same name would hide it after the first time
        assert getattr(getattr(tfpar.data, name), "__name__", name) == name  # constants have none
    with pytest.raises(AttributeError, match="nonsense"):
        _ = tfpar.data.nonsense
