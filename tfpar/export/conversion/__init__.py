"""Conversion of a model into a SavedModel or a TFLite file, and its verification."""
