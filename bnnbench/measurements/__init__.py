"""Measurements of a fitted posterior, which cells are made of: attacks, measures, and their results."""
