"""XLA compiles forward and backward once for each shape of a batch, and the update once, and nothing else.

With one shape of all batches, and without lanes, both are one program.
"""

import os
from pathlib import Path

import pytest
from fork_server import run_fork

SCRIPT = Path(__file__).parents[1] / "support" / "count_programs.py"


@pytest.mark.timeout(150)
@pytest.mark.parametrize(
    "jit_compile, lengths, lanes, shapes, updates",
    [(True, 2, 1, 2, 1), (True, 2, 2, 2, 1), (True, 1, 2, 1, 1), (True, 1, 1, 0, 1), (False, 2, 1, 0, 0)],
    ids=["two lengths", "two lengths in lanes", "one length in lanes", "one length: one program", "graph"],
)
def test_one_program_for_each_shape(jit_compile, lengths, lanes, shapes, updates, tmp_path):
    environment = {**os.environ, "XLA_FLAGS": f"--xla_dump_to={tmp_path} --xla_dump_hlo_as_text"}
    done = run_fork([SCRIPT, *map(str, (jit_compile, lengths, lanes))], env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    compiled = list(tmp_path.glob("module_*.before_optimizations.txt"))
    assert len([path for path in compiled if "forward_backward" in path.name]) == shapes
    assert len(compiled) == shapes + updates, "only the update is a further program"
