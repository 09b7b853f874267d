"""Checks that users run on their own layers, models and data; each raises AssertionError that names what is wrong."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
