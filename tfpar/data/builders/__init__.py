"""TFDS builders of the bundled sets: one package per set, the parsing apart from the builder."""
