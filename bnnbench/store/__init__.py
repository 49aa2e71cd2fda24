"""Fits and outcomes on disk."""
