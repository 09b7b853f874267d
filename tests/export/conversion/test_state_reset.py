"""An answer does not depend on the question before, though nobody resets the interpreter."""

import numpy as np
import pytest

from tfpar.export.conversion.interpreter import TFLiteModel

FORMATS = ("float32", "float16", "dynamic", "int8")


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_question_twice(exported, rows, name):
    first, second = exported(name).answers(rows[[5, 5]])
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", FORMATS)
def test_another_question_in_between(exported, rows, name):
    a, b, a_again = exported(name).answers(rows[[5, 6, 5]])
    assert np.abs(a - b).max() > 1e-3
    np.testing.assert_array_equal(a, a_again)


@pytest.mark.parametrize("name", FORMATS)
def test_an_old_interpreter_answers_like_a_new_one(exported, rows, name):
    fresh = np.concatenate([exported(name).answers(rows[i : i + 1]) for i in range(4)])
    np.testing.assert_array_equal(exported(name).answers(rows[:4]), fresh)


@pytest.mark.parametrize("name", FORMATS)
def test_as_the_converter_leaves_it_the_file_remembers(exported, rows, name, tmp_path):
    path = tmp_path / "remembers.tflite"
    path.write_bytes(exported(name).converted)
    model = TFLiteModel(path)
    first, second = (model(tokens=rows[7:8])["logits"] for _ in range(2))
    if name != "int8":  # whose scales are mended, too
        np.testing.assert_allclose(first[0], exported(name).answers(rows[7:8])[0], atol=1e-6)
    assert np.abs(first - second).max() > 1e-3
