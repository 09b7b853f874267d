"""Readers of files and data sets, of no task."""
