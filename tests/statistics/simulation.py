"""Simulations of known truth: arms of scores, and how often something happens."""

import math

import numpy as np


def share(happened):
    return np.mean(list(happened))


def at_most(nominal, rounds):
    """What a rate that is nominal stays below but for one simulation in a thousand."""
    return nominal + 3.1 * math.sqrt(nominal * (1 - nominal) / rounds)


def draw_arms(rounds, n, m=None, *, seed=0, std=1.0, difference=0.0, correlation=0.0):
    """Rounds of a baseline (n,) and a candidate (m,), normal; pairs of them where they correlate."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        common = math.sqrt(correlation) * rng.normal(size=n) if correlation else 0.0
        own = math.sqrt(1 - correlation)
        yield common + own * rng.normal(size=n), common + own * std * rng.normal(size=m or n) + difference


def covered(interval_of, draw, truth, n, rounds, seed=0):
    """How often, in percent, the interval of n draws holds the truth."""
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(rounds):
        low, high = interval_of(draw(rng, n))
        hits += low <= truth <= high
    return 100 * hits / rounds


def draw_normal(rng, n):
    return rng.normal(90, 0.23, n)
