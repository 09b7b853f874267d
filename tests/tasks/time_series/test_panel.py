"""Panels from files: grids of times, missing steps, series, and what is refused."""

import numpy as np
import pytest

from tfpar.data.readers.delimited import Dialect
from tfpar.errors import UserError
from tfpar.tasks.time_series import grids
from tfpar.tasks.time_series import panel as panel_module
from tfpar.tasks.time_series.load_panel import load_panel
from tfpar.tasks.time_series.panel_tables import PanelColumns, read_panel
from tfpar.tasks.time_series.row_buffer import RowBuffer
from tfpar.tasks.time_series.times import calendar_features, calendar_names


def read(tmp_path, text, **columns):
    path = tmp_path / "a.csv"
    path.write_text(text)
    return read_panel(path, Dialect(True), PanelColumns(**{"time": "t"} | columns))


def test_missing_steps_and_cells_become_nan(tmp_path):
    panel = read(tmp_path, "t,x,y\n2024-01-01 00:00,1,\n2024-01-01 01:00,2,3\n2024-01-01 04:00,4,5\n")
    np.testing.assert_array_equal(panel.values[:, 0], [1, 2, np.nan, np.nan, 4])
    assert panel.filled == 2 and panel.has_missing and panel.grid.season() == 24
    assert [panel.grid.format(time) for time in panel.times[[0, 2]]] == ["2024-01-01", "2024-01-01T02:00:00"]


def test_months_are_one_step_each(tmp_path):
    panel = read(tmp_path, "t,x\n2020-01,1\n2020-02,2\n2020-04,3\n2020-05,4\n")
    np.testing.assert_array_equal(panel.values[:, 0], [1, 2, np.nan, 3, 4])
    assert panel.grid.months == 1 and panel.grid.season() == 12
    assert [panel.grid.format(time) for time in panel.times] == [f"2020-0{month}-01" for month in range(1, 6)]
    assert panel.grid.format(panel.grid.extend(panel.times[-1], 8)[-1]) == "2021-01-01"


def test_ends_of_months_are_one_step_each(tmp_path):
    panel = read(tmp_path, "t,x\n2020-01-31,1\n2020-02-29,2\n2020-04-30,3\n")
    np.testing.assert_array_equal(panel.values[:, 0], [1, 2, np.nan, 3])
    times = [*panel.times, *panel.grid.extend(panel.times[-1], 1)]
    assert [panel.grid.format(time)[5:] for time in times] == ["01-31", "02-29", "03-31", "04-30", "05-31"]


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_a_panel_does_not_depend_on_the_rows_in_memory(tmp_path, monkeypatch, rows):
    """Interleaved series with gaps, read in chunks of a few rows."""
    lines = [f"{name},{time},{10 * time + shift}" for time in (1, 2, 3, 6, 7, 9) for shift, name in enumerate("ab")]
    text = "id,t,x\n" + "\n".join([*lines, "c,5,0", "a,12,125"]) + "\n"
    expected = read(tmp_path, text, series="id")
    for module in (panel_module, grids):
        monkeypatch.setattr(module, "ROWS", rows)
    panel = read(tmp_path, text, series="id")
    assert panel.grid == expected.grid and panel.filled == expected.filled == 8 and panel.ids == ("a", "b", "c")
    for name in ("values", "offsets", "times"):
        np.testing.assert_array_equal(getattr(panel, name), getattr(expected, name))
    np.testing.assert_array_equal(panel.offsets, [0, 12, 21, 22])
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(panel.values[:12, 0])), [3, 4, 7, 9, 10])
    with pytest.raises(UserError, match="the time 8.0 is before the previous one"):
        read(tmp_path, text + "b,8,1\n", series="id")


@pytest.mark.parametrize(
    ("times", "following"),
    [
        (["2023-01-30", "2023-02-28", "2023-03-30"], ["2023-04-30", "2023-05-30"]),
        (["2024-03-31", "2024-04-28", "2024-05-31"], ["2024-06-30", "2024-07-31"]),
        (
            ["2024-02-01T00:00+01:00", "2024-03-01T00:00+01:00", "2024-04-01T00:00+02:00", "2024-05-01T00:00+02:00"],
            ["2024-05-31T22:00:00Z", "2024-06-30T22:00:00Z"],
        ),
        (["2024-01-01", "2024-01-29", "2024-02-26", "2024-03-25"], ["2024-04-22", "2024-05-20"]),  # 28 days
    ],
    ids=["the 30th", "about the last day", "local months", "four weeks"],
)
def test_months_of_other_days(tmp_path, times, following):
    panel = read(tmp_path, "t,x\n" + "".join(f"{time},{row}\n" for row, time in enumerate(times)))
    assert panel.filled == 0
    assert [panel.grid.format(time) for time in panel.grid.extend(panel.times[-1], 2)] == following


def test_names_of_digits_are_names(tmp_path):
    one = read(tmp_path, "t,0,1\n1,10,20\n2,11,21\n", targets=("1", "0"))
    two = read(tmp_path, "1,0\n20,10\n21,11\n", time="", targets=("1", "0"))
    for panel in (one, two):
        np.testing.assert_array_equal(panel.values, [[20, 10], [21, 11]])


def test_anomalies_of_arrays(tmp_path):
    path, values = tmp_path / "a.npz", np.arange(4.0)[:, None]
    np.savez(path, values=values, is_anomaly=[0, 1, np.nan, 1])
    assert load_panel(f"npz:{path}", PanelColumns()).labels.tolist() == [0, 1, -1, 1]
    for labels in ([0, 1, 2, 1], ["0", "1", "0", "0"], [0, -1, 0, 1]):
        np.savez(path, values=values, is_anomaly=labels)
        with pytest.raises(UserError, match="is_anomaly must be 0 .normal., 1 .anomaly. or NaN"):
            load_panel(f"npz:{path}", PanelColumns())
    np.savez(path, values=2.0**25 + values)
    with pytest.raises(UserError, match="column 0, is between 33554432 and 33554435, where float32 has steps of 4"):
        load_panel(f"npz:{path}", PanelColumns())


def test_series_of_interleaved_rows(tmp_path):
    panel = read(tmp_path, "id,t,x\na,1,1\nb,7,2\na,2,3\nb,9,4\na,3,5\nb,8,6\n".replace("b,9,4\n", ""), series="id")
    assert panel.ids == ("a", "b") and list(panel.offsets) == [0, 3, 5]
    np.testing.assert_array_equal(panel.values[:, 0], [1, 3, 5, 2, 6])


def test_time_zones_are_converted_to_utc(tmp_path):
    panel = read(tmp_path, "t,x\n2024-03-31T01:30:00+01:00,1\n2024-03-31T03:30:00+02:00,2\n")
    assert panel.filled == 0 and panel.grid.format(panel.times[0]) == "2024-03-31T00:30:00Z"


def test_roles_of_columns(tmp_path):
    text = "t,price,x,store,weather\n" + "".join(f"{n},{n},{n},0,1\n" for n in range(3))
    panel = read(tmp_path, text, past=("weather",), known=("price",), targets=("x",))
    assert panel.columns == ("x", "weather", "price") and (panel.targets, panel.past) == (1, 1)


def test_rows_beyond_the_buffer():
    buffer = RowBuffer(2)
    for number in range(40_000):
        buffer.append((number, -number))
    rows = buffer.finish()
    assert rows.shape == (40_000, 2) and (rows[:, 0] == np.arange(40_000)).all() and isinstance(rows, np.memmap)


def test_calendar_features(tmp_path):
    panel = read(tmp_path, "t,x\n2024-01-01 00:00,1\n2024-01-01 06:00,2\n2024-01-01 12:00,2\n")
    names = calendar_names(panel.grid)
    assert names == ("sin_hour", "cos_hour", "sin_weekday", "cos_weekday", "sin_year", "cos_year")
    features = calendar_features(panel.times, names)
    np.testing.assert_allclose(features[:, :2], [[0, 1], [1, 0], [0, -1]], atol=1e-6)
    np.testing.assert_allclose(features[:, 2:4], [[0, 1]] * 3, atol=1e-6)  # a Monday


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("t,x\n2020-01-01,1\n2020-01-03,2\n2020-01-02,3\n", "2020-01-02 is before the previous one"),
        ("t,x\n2020-01-01,1\n2020-01-01,2\n", "2020-01-01 occurs twice"),
        ("t,x\n2020-01-01T00:00+01:00,1\n2020-01-01T02:00,2\n", "with a time zone, as before; got"),
        ("t,x\n1,1\n2,2\n3,3\n4,4\n99999,5\n", "the times are too irregular"),
        ("t,x\n" + "".join(f"{n * n},1\n" for n in range(99)), r"6\d% of the gaps .* 20% of the steps would be masked"),
        ("t,x\n31/12/2020,1\n", "expected a date such as .* --time_format"),
        ("t,x\n1,1\n2,many\n", "line 3, column 'x': expected a number; got 'many'"),
        ("t,x\n1,1\n2,-inf\n", "line 3, column 'x': the value is infinite"),
        ("t,x\n1,\n2,nan\n", "all values of the column 'x' are missing"),
        ("t,x\n", "no data rows"),
        ("t\n1\n", "no column of values"),
        ("t,x\n1,1\n2,1e300\n", "line 3, column 'x': the value is beyond float32: 1e300"),
        ("t,x\n1,1000000000\n2,1000000006\n", "float32 has steps of 64; subtract a constant"),
        ("t,x\n1700000000000000000,1\n", "expected a number of seconds"),
        ("t,x,\n1,1,1\n", "column 3 has no name"),
        ("t;x\n1;1\n", "has no column 't'.* give --delimiter ';'"),
        ("time,x\n1,2\n", "has no column 't'"),
    ],
)
def test_what_is_refused(tmp_path, text, words):
    with pytest.raises(UserError, match=words):
        read(tmp_path, text)
