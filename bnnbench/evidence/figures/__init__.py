"""Figures: components that describe pictures of results."""
