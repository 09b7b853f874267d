"""The AT&T (ORL) database of faces: `parse` needs NumPy alone, `builder` needs TensorFlow Datasets."""
