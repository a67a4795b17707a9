"""Training code of the user's own: Python functions and programs, a seed at a time."""
