"""Lightning and Hydra callbacks."""
