"""Models from elsewhere: stock Keras and PyTorch."""
