"""Model cards, plots, and the words of refusals."""
