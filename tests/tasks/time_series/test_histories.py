"""Tables for predictions: the ends of their series, times, calendar and statistics."""

import numpy as np
import pytest

from tfpar.errors import UserError
from tfpar.tasks.time_series.grids import DAY_US, Grid
from tfpar.tasks.time_series.histories import HistoryReader, TableFormat

DAILY = TableFormat("t", "id", grid=Grid(DAY_US))


def read(path, columns=("x",), calendar=(), known=0, statistics=None):
    return HistoryReader(DAILY, 1, columns, known, calendar, 4, 2, statistics).read_ends(path)


def write(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    return path


def days(name="a", first=1, count=6, columns=1):
    return "".join(f"{name},2024-01-{first + n:02}" + f",{n}" * columns + "\n" for n in range(count))


def test_each_series_ends_at_its_own_time(tmp_path):
    path = write(tmp_path, "id,t,x\n" + days("a") + days("b", 11, 8))
    one, two = read(path)
    assert (one.name, two.name) == ("a", "b")
    np.testing.assert_array_equal(two.values, [[4], [5], [6], [7]])
    assert one.times == ["2024-01-07", "2024-01-08"] and two.times == ["2024-01-19", "2024-01-20"]


def test_known_columns_and_calendar_go_on(tmp_path):
    path = write(tmp_path, "id,t,x,price\n" + days(count=8, columns=2))
    (history,) = read(path, ("x", "price"), ["sin_weekday"], known=1)
    assert history.values.shape == (6, 3) and history.times == ["2024-01-07", "2024-01-08"]
    weekday = np.arange(2, 8) % 7  # from Wednesday on
    np.testing.assert_allclose(history.values[:, 2], np.sin(2 * np.pi * weekday / 7), atol=1e-6)


def test_static_columns_go_on_by_themselves(tmp_path):
    path = write(tmp_path, "id,t,x,size\n" + days(columns=2).replace(",5,5", ",5,8"))
    (history,) = HistoryReader(DAILY, 1, ("x", "size"), 1, ["sin_weekday"], 4, 2, static=1).read_ends(path)
    np.testing.assert_array_equal(history.values[:, 0], [2, 3, 4, 5, np.nan, np.nan])
    assert history.values[4:, 1].tolist() == [8, 8] and history.times == ["2024-01-07", "2024-01-08"]
    assert np.isfinite(history.values[:, 2]).all()


def test_rows_that_are_forecast_again_are_named(tmp_path, capsys):
    text = "id,t,x,price\n" + days(count=8, columns=2)
    read(write(tmp_path, text), ("x", "price"), known=1)
    assert "the last 2 rows of series 'a' have values of the target" in capsys.readouterr().err
    for day in (6, 7):
        text = text.replace(f",{day},{day}", f",,{day}")
    read(write(tmp_path, text), ("x", "price"), known=1)
    assert capsys.readouterr().err == ""


def test_times_of_another_kind_are_refused(tmp_path):
    path = write(tmp_path, "id,t,x\n" + "".join(f"a,{n},1\n" for n in range(8)))
    with pytest.raises(UserError, match="the times are numbers, and those of the training data dates"):
        read(path)


def test_statistics_are_those_of_training_or_of_the_file(tmp_path):
    path = write(tmp_path, "id,t,x\n" + days("a") + days("b"))
    known, new = read(path, statistics={"a": [7.0, 3.0]})
    np.testing.assert_array_equal(known.values[:, 1:], [[7, 3]] * 4)
    np.testing.assert_allclose(new.values[:, 1:], [[2.5, np.std(np.arange(6))]] * 4, rtol=1e-6)


def test_origins_of_a_backtest(tmp_path):
    path = write(tmp_path, "id,t,x\n" + days("a", count=7) + days("b"))
    reader = HistoryReader(DAILY, 1, ["x"], 0, [], 4, 2, {})
    found = list(reader.read_origins(path, 100))
    assert [one.name for one, _ in found] == ["a", "a", "b"]
    np.testing.assert_array_equal([truth[:, 0] for _, truth in found], [[4, 5], [5, 6], [4, 5]])
    np.testing.assert_allclose(found[1][0].values[:, :2], [[step, 2] for step in (1, 2, 3, 4)])  # the mean of 0 to 4
    with pytest.raises(UserError, match="no series of 6 steps"):
        list(reader.read_origins(write(tmp_path, "id,t,x\n" + days(count=5)), 100))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,t,x\n" + days("a") + days("b", count=3), "the series 'b' of .*a.csv has 3 steps; this model needs 4"),
        ("id,t,x\na,2024-01-01,1\na,2024-01-08,2\n", "rows are 604800 s apart, and those of the training data 86400"),
        ("id,t,y\n" + days(), "has no column 'x'"),
        ("t,x\n1,2\n1,3\n", "times must ascend"),
    ],
)
def test_what_is_refused(tmp_path, text, words):
    with pytest.raises(UserError, match=words):
        read(write(tmp_path, text))
