"""Measurements against named rivals, in the same run."""
