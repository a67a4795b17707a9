"""Hydra finds its plugins in packages of the name hydra_plugins."""
