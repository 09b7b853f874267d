"""Batches of sequences: length buckets, padding, and streams of `tf.data`."""
