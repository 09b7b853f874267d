"""A step's memory is seen while it is held."""

import sys

import numpy as np
import pytest

from tfpar.bench.memory import peak_resident_bytes, resident_bytes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell")
SIZE_BYTES = 2**26


def test_the_peak_includes_temporary_memory():
    before = resident_bytes()
    peak = peak_resident_bytes(lambda: [np.ones(SIZE_BYTES // 8).sum() for _ in range(3)], 3)
    assert SIZE_BYTES / 2 < peak - before < 2 * SIZE_BYTES


def test_freed_memory_is_not_counted():
    before = resident_bytes()
    np.ones(SIZE_BYTES // 8).sum()
    assert abs(resident_bytes() - before) < SIZE_BYTES / 4
