"""English-Spanish sentence pairs of Tatoeba: `parse` is pure Python, `builder` needs TensorFlow Datasets."""
