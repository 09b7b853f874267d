"""Tasks, one package for each, and the registries of all tasks.

The packages load when they are first used; importing this package imports neither TensorFlow nor Keras.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
