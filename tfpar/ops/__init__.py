"""Pure functions: tensors in, tensors out; no layer, no variable."""
