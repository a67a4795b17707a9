"""Many tasks on many processes; imports neither torch nor training."""
