"""Model cards, plots, and reports of refused files."""
