"""Recurrent layers: a recurrence from `tfpar.ops`, run by the kernel that fits."""
