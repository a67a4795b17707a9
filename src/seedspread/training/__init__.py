"""One seed in one process."""
