"""Benchmarks against what a user would pick instead: fresh processes in turn, medians, ratios."""

STEPS_PER_EXECUTION = 8  # of Keras and of tfpar, as recipes do
