"""XLA compiles the code around cuDNN's operation if TensorFlow clusters automatically: on a CPU, with a stand-in."""

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "support" / "count_clusters.py"


def test_clusters_form_around_the_op_with_a_stand_in_for_it():
    flags = {"TF_XLA_FLAGS": "--tf_xla_cpu_global_jit", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run([sys.executable, SCRIPT], env={**os.environ, **flags}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    for way in found.values():
        assert way["BlockLSTMV2"] == way["BlockLSTMGrad"] == 1
    before, clustered, after = (found[name] for name in ("before", "clustered", "after"))
    assert "_XlaRun" not in before and before == after
    assert clustered["_XlaRun"] >= 4
    # The layers before and after the operation, and their gradients, and the packing of its weights, are in clusters.
    kinds = ("MatMul", "Softmax", "Tanh", "Log", "Sum", "SelectV2", "Transpose", "Concat", "UnsortedSegmentSum")
    assert [name for name in clustered if any(kind in name for kind in kinds)] == []
    assert {"Tanh", "TanhGrad", "Log", "SelectV2", "ConcatV2"} <= set(before)
