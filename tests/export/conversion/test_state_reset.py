"""A file's outputs do not depend on earlier runs, though the interpreter is not reset."""

import numpy as np
import pytest

from tfpar.export.conversion.interpreter import TFLiteModel

FORMATS = ("float32", "float16", "dynamic", "int8")


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_input_twice(exported, rows, name):
    first, second = exported(name).predict(rows[[5, 5]])
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", FORMATS)
def test_another_input_in_between(exported, rows, name):
    a, b, a_again = exported(name).predict(rows[[5, 6, 5]])
    assert np.abs(a - b).max() > 1e-3
    np.testing.assert_array_equal(a, a_again)


@pytest.mark.parametrize("name", FORMATS)
def test_an_old_interpreter_equals_a_new_one(exported, rows, name):
    fresh = np.concatenate([exported(name).predict(rows[i : i + 1]) for i in range(4)])
    np.testing.assert_array_equal(exported(name).predict(rows[:4]), fresh)


@pytest.mark.parametrize("name", FORMATS)
def test_the_unpatched_file_has_state(exported, rows, name, tmp_path):
    path = tmp_path / "unpatched.tflite"
    path.write_bytes(exported(name).converted)
    model = TFLiteModel(path)
    first, second = (model(tokens=rows[7:8])["logits"] for _ in range(2))
    if name != "int8":  # whose scales are patched, too
        np.testing.assert_allclose(first[0], exported(name).predict(rows[7:8])[0], atol=1e-6)
    assert np.abs(first - second).max() > 1e-3
