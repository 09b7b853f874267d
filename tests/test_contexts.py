"""Context managers restore former values, also after an error."""

import contextvars

import pytest

from tfpar.contexts import attributes_set, variable_set


class Owner:
    def __init__(self):
        vars(self)["own"] = 1

    def method(self):
        return "of the class"

    def __setattr__(self, name, value):
        raise AssertionError("it would be tracked")


def test_attributes_override_those_of_the_class_and_are_restored():
    owner = Owner()
    with pytest.raises(KeyError), attributes_set(owner, {"own": 2, "method": lambda: "replaced"}):
        assert (owner.own, owner.method()) == (2, "replaced")
        with attributes_set(owner, {"own": 3}):
            assert owner.own == 3
        assert owner.own == 2
        raise KeyError
    assert (owner.own, owner.method()) == (1, "of the class")
    assert vars(owner) == {"own": 1}


def test_a_variable_is_restored():
    variable = contextvars.ContextVar("variable", default=0)
    with pytest.raises(KeyError), variable_set(variable, 1):
        assert variable.get() == 1
        raise KeyError
    assert variable.get() == 0
