"""Benchmarks against other frameworks: each run in a fresh process, interleaved; medians and ratios of times."""

STEPS_PER_EXECUTION = 8  # of Keras and of tfpar, as in the recipes
