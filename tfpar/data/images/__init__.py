"""Labeled images: readers, splits, augmentation, batches."""
