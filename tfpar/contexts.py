"""What holds within a `with` block, and is after it as it was before."""

import contextlib
import contextvars
from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def variable_set(variable: contextvars.ContextVar, value) -> Iterator[None]:
    """Within this context `variable.get()` is `value`."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


@contextlib.contextmanager
def attributes_set(owner, attributes: Mapping[str, object]) -> Iterator[None]:
    """Within this context `owner` has these attributes of its own, which hide those of its class.

    They are set past its `__setattr__`, by which Keras and TensorFlow track what they see.
    """
    former = {name: vars(owner)[name] for name in attributes if name in vars(owner)}
    vars(owner).update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            del vars(owner)[name]
        vars(owner).update(former)
