"""TensorFlow's tensors on CPUs are in memory that is used again."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf

import tfpar  # noqa: F401 (chooses the allocator)

_PROGRAM = """
import tfpar, tensorflow as tf
tf.zeros(1000) + 1
print(tf.config.experimental.get_memory_info("CPU:0")["peak"])
"""


def run_program(**variables):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_CP")}  # CPU, CPP
    return subprocess.run(
        [sys.executable, "-c", _PROGRAM], env={**environment, **variables}, capture_output=True, text=True, timeout=120
    )


def test_tensors_come_from_an_allocator_that_keeps_memory():
    tf.zeros(1000) + 1
    assert tf.config.experimental.get_memory_info("CPU:0")["peak"] >= 8000  # another allocator has no statistics


@pytest.mark.slow
def test_tfpar_chooses_it_unless_the_user_chooses_another():
    assert int(run_program().stdout) >= 8000
    other = run_program(TF_CPU_ALLOCATOR_USE_BFC="false")  # no statistics, or zeros, depending on the processor
    assert int(other.stdout) == 0 if other.returncode == 0 else "Allocator stats not available" in other.stderr
