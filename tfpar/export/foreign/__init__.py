"""Imports third-party models: stock Keras and PyTorch."""
