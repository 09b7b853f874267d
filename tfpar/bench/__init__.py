"""Benchmarks against what a user would pick instead: fresh processes in turn, medians, ratios."""
