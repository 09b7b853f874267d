"""Rotten Tomatoes snippets and plots, split by movie: `parse` is pure Python, `builder` needs TensorFlow Datasets."""
