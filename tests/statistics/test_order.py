"""Stochastic order: the violation ratio and almost stochastic dominance."""

import numpy as np
import pytest
from scipy import integrate, stats

from seedspread import statistics as st


def numerically(a, b):
    """The violation ratio by adding up a million points of the quantile functions."""
    t = (np.arange(1_000_000) + 0.5) / 1_000_000
    apart = np.sort(a)[np.floor(t * len(a)).astype(int)] - np.sort(b)[np.floor(t * len(b)).astype(int)]
    return (np.maximum(apart, 0) ** 2).sum() / (apart**2).sum()


@pytest.mark.parametrize("n, m", [(7, 7), (24, 17), (5, 200), (3, 2)])
def test_the_violation_ratio_is_the_integral(n, m):
    rng = np.random.default_rng(n)
    a, b = rng.normal(0, 1, n), rng.normal(0.3, 2, m)
    assert st.violation_ratio(a, b) == pytest.approx(numerically(a, b), abs=2e-5)
    assert st.violation_ratio(a, b) + st.violation_ratio(b, a) == pytest.approx(1)


def test_the_violation_ratio_of_two_normal_distributions():
    def apart(t):
        return stats.norm.ppf(t) - stats.norm.ppf(t, 0.2, 1.5)

    t = (np.arange(400_000) + 0.5) / 400_000
    violated, _ = integrate.quad(lambda t: max(apart(t), 0) ** 2, 0, 1, limit=200)
    whole, _ = integrate.quad(lambda t: apart(t) ** 2, 0, 1, limit=200)
    found = st.violation_ratio(stats.norm.ppf(t), stats.norm.ppf(t, 0.2, 1.5))
    assert found == pytest.approx(violated / whole, abs=1e-3)


def test_almost_stochastic_dominance_by_a_plain_loop():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 1, 40), rng.normal(0.4, 1.3, 30)
    ratios = [st.violation_ratio(rng.choice(a, 40), rng.choice(b, 30)) for _ in range(3000)]
    expected = st.violation_ratio(a, b) + 1.645 * np.std(ratios)
    assert st.almost_stochastic_dominance(a, b) == pytest.approx(expected, abs=0.02)
    assert st.almost_stochastic_dominance(a, a + 5) == 0 and st.almost_stochastic_dominance(a + 5, a) == 1
    assert st.violation_ratio(a, a) == 0.5
    assert st.almost_stochastic_dominance(a, b) == st.almost_stochastic_dominance(a, b)
