"""Context managers that set values temporarily."""

import contextlib
import contextvars
from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def variable_set(variable: contextvars.ContextVar, value: object) -> Iterator[None]:
    """Within this context `variable.get()` is `value`."""
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


@contextlib.contextmanager
def attributes_set(owner: object, attributes: Mapping[str, object]) -> Iterator[None]:
    """Within this context an object has these attributes, which override those of its class.

    They are set without its `__setattr__`, by which Keras and TensorFlow track attributes.
    """
    former = {name: vars(owner)[name] for name in attributes if name in vars(owner)}
    vars(owner).update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            del vars(owner)[name]
        vars(owner).update(former)
