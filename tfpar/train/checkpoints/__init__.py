"""Checkpoints of training: all of its state, written as a whole, from which it continues at every step."""
