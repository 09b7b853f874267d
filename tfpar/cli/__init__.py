"""Doors: commands and flags."""
