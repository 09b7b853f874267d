"""Declared signatures of Keras' methods."""

import inspect

import keras
import pytest

from tfpar.train import Model, keras_signatures

_DECLARED = {
    name: function for name, function in inspect.getmembers(keras_signatures, inspect.isfunction) if name != "overrides"
}


@pytest.mark.parametrize("name", _DECLARED)
def test_parameters_and_defaults_are_those_of_keras(name):
    def describe(function):
        return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]

    assert describe(_DECLARED[name]) == describe(getattr(keras.Model, name)) == describe(getattr(Model, name))
