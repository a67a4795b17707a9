"""Searches for hyperparameters: space, plan, trials, judgement."""
