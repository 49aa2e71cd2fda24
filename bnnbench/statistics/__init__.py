"""Metrics of predictions, and intervals for proportions, in plain numpy."""
