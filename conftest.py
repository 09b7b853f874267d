"""A quiet TensorFlow for all tests, and names that the examples in docstrings may use."""

import os

import pytest
from _pytest.doctest import DoctestItem

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture(autouse=True)
def _names_for_examples(request):
    if not isinstance(request.node, DoctestItem):
        return
    import keras
    import numpy as np

    import tfpar

    names = {name: getattr(tfpar.layers, name) for name in tfpar.layers.__all__}
    request.node.dtest.globs.update(names, np=np, keras=keras, tfpar=tfpar)
