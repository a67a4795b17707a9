"""Ordinary Lightning modules on data that installed packages carry: they import nothing else of this package."""
