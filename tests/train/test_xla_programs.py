"""XLA compiles forward and backward once for each shape of a batch and the update once, and nothing unasked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "support" / "count_programs.py"


@pytest.mark.timeout(150)
@pytest.mark.parametrize("jit_compile, shapes, updates", [(True, 2, 1), (False, 0, 0)], ids=["xla", "graph"])
def test_one_program_a_shape(jit_compile, shapes, updates, tmp_path):
    environment = {**os.environ, "XLA_FLAGS": f"--xla_dump_to={tmp_path} --xla_dump_hlo_as_text"}
    subprocess.run([sys.executable, SCRIPT, str(jit_compile)], env=environment, check=True, timeout=120)
    compiled = list(tmp_path.glob("module_*.before_optimizations.txt"))
    assert len([path for path in compiled if "forward_backward" in path.name]) == shapes
    assert len(compiled) == shapes + updates, "nothing but the update is a program beside"
