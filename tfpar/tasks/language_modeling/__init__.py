"""Language modeling: the next character of a text.

The names load when they are first used; importing this package imports neither TensorFlow nor Keras.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
