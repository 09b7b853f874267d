"""5,000 handwritten digits of MNIST: `parse` needs NumPy alone, `builder` needs TensorFlow Datasets."""
