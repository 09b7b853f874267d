"""Tests of code that users name: modules and files."""

import random
import sys

import pytest

from tfpar.errors import UserError
from tfpar.user_code import import_code


@pytest.fixture
def in_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    modules = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def test_a_file_named_like_a_loaded_module_is_the_users(in_directory):
    (in_directory / "random.py").write_text("mine = 1")
    module = import_code("random.py", "import", "random.py")
    assert module.mine == 1
    assert sys.modules["random"] is random


def test_a_file_runs_once(in_directory):
    (in_directory / "counted.py").write_text("import sys; sys.runs = getattr(sys, 'runs', 0) + 1")
    assert import_code("counted.py", "import", "") is import_code("./counted.py", "import", "")
    assert vars(sys).pop("runs") == 1


def test_a_module_of_the_working_directory(in_directory):
    (in_directory / "beside.py").write_text("mine = 2")
    assert import_code("beside", "import", "beside").mine == 2


@pytest.mark.parametrize(
    "name, code, message",
    [
        ("absent.py", None, "`import` must name a file that exists; got 'absent.py'"),
        ("absent_module", None, "there is no module 'absent_module'"),
        ("bad.py", "x = 1\n1 / 0", "ZeroDivisionError in bad.py, line 2"),
        ("bad.py", "x = (", "SyntaxError in bad.py, line 1"),
        ("bad.py", "import absent_module", "No module named 'absent_module'"),
    ],
)
def test_refusals(in_directory, name, code, message):
    if code is not None:
        (in_directory / name).write_text(code)
    with pytest.raises(UserError, match=message):
        import_code(name, "import", name)
    assert "bad" not in sys.modules
