"""TFLite Micro: the interpreter of microcontrollers, and files for it."""
