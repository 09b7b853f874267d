"""Export, prediction and evaluation of any model, with no task."""
