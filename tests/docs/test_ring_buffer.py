"""The ring buffer of the page on time series compiles, and its windows are those of NumPy."""

import shutil
import subprocess

import numpy as np
import pytest
from documents import ROOT, code_blocks


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a compiler")
def test_windows_are_those_of_numpy(tmp_path):
    (code,) = code_blocks(ROOT / "docs" / "recipes" / "time_series.md", "cpp")
    (tmp_path / "ring.cc").write_text(code)
    program = tmp_path / "ring"
    subprocess.run(
        ["g++", "-std=c++17", "-Wall", "-Werror", "-o", program, tmp_path / "ring.cc"], check=True, timeout=60
    )
    samples = np.random.default_rng(0).normal(0, 40, (9, 2)).round(2)
    text = "".join(f"{a},{b}\n" for a, b in samples)
    done = subprocess.run([program], input=text, capture_output=True, text=True, check=True, timeout=10)
    windows = [list(map(int, line.split())) for line in done.stdout.splitlines()]
    quantized = np.clip(np.round(samples / 0.5) - 3, -128, 127)
    expected = [quantized[start : start + 4].ravel() for start in range(6)]
    assert np.abs(np.array(windows) - expected).max() <= 1  # halves are rounded up by C++ and to even by NumPy
    assert (np.array(windows) == expected).mean() > 0.9
