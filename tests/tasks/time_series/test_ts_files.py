"""The `.ts` text format: what is read, and what is refused."""

import numpy as np
import pytest

from tfpar.errors import UserError
from tfpar.tasks.time_series.ts_files import read_ts


def write(tmp_path, body, header="@problemName A\n@classLabel true 1 2\n"):
    path = tmp_path / "A_TRAIN.ts"
    path.write_text(f"# comment\n{header}@data\n{body}")
    return path


def test_channels_lengths_and_missing_values(tmp_path):
    (first, label), (second, other) = read_ts(write(tmp_path, "1,2,?:3,4:a\n5:6:b\n"))
    np.testing.assert_array_equal(first, [[1, 3], [2, 4], [np.nan, np.nan]])
    np.testing.assert_array_equal(second, [[5, 6]])
    assert (label, other) == ("a", "b") and first.dtype == np.float32


def test_time_stamps_are_dropped(tmp_path):
    body = "(2007-01-01 00:00:00,1.5),(2007-01-01 00:01:00,2):(2007-01-01 00:00:00,3),(2007-01-01 00:01:00,4):x\n"
    ((series, label),) = read_ts(write(tmp_path, body, "@timeStamps true\n@classLabel true x\n"))
    np.testing.assert_array_equal(series, [[1.5, 3], [2, 4]])
    assert label == "x"


@pytest.mark.parametrize(
    ("body", "words"), [("1,two:a\n", "line 5: could not convert"), ("1,inf:a\n", "a value is infinite")]
)
def test_what_is_refused(tmp_path, body, words):
    with pytest.raises(UserError, match=words):
        list(read_ts(write(tmp_path, body)))


def test_a_file_without_data(tmp_path):
    (tmp_path / "a.ts").write_text("@problemName A\n")
    with pytest.raises(UserError, match="no line @data"):
        list(read_ts(tmp_path / "a.ts"))
