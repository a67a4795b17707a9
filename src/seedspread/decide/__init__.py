"""Whether one arm is better than another."""
