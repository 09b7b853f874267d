"""Series inside the package aeon: `parse` needs NumPy alone, `builders` needs TensorFlow Datasets."""
