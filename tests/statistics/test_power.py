"""Power and seeds needed: against searches through the noncentral t, and simulations."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from seedspread import statistics as st
from tests.statistics.simulation import draw_arms, share


def test_power_is_as_computed():
    for n, difference in ((10, 1.0), (20, 0.9)):
        shown = share(st.welch_test(a, b).p < 0.05 for a, b in draw_arms(3000, n, difference=difference, seed=2))
        assert shown == pytest.approx(st.achieved_power(n, difference, 1.0), abs=0.028)
    shown = share(st.welch_test(a, b).p < 0.05 for a, b in draw_arms(3000, 15, std=2.0, difference=1.5, seed=3))
    assert shown == pytest.approx(st.achieved_power(15, 1.5, 1.0, other=2.0), abs=0.028)
    apart = math.sqrt(2 * (1 - 0.6))
    rounds = draw_arms(3000, 12, correlation=0.6, difference=0.8, seed=4)
    shown = share(st.paired_t_test(a, b).p < 0.05 for a, b in rounds)
    assert shown == pytest.approx(st.achieved_power(12, 0.8, apart, pairs=True), abs=0.028)


def test_seeds_needed_are_what_a_search_through_the_noncentral_t_finds():
    def power(n, d):
        t, away = stats.t.isf(0.025, 2 * n - 2), d * math.sqrt(n / 2)
        return stats.nct.sf(t, 2 * n - 2, away) + np.nan_to_num(stats.nct.cdf(-t, 2 * n - 2, away))

    assert st.seeds_needed(0.23, 0.1) == 84 and st.seeds_needed(0.23, 0.1, power=0.95) == 139
    assert st.achieved_power(84, 0.1, 0.23) == pytest.approx(0.8, abs=1e-4)
    for d, wanted in itertools.product((0.2, 0.5, 1.0, 4.0, 30.0), (0.6, 0.8, 0.95)):
        searched = next(n for n in itertools.count(2) if power(n, d) >= wanted - 0.0005)
        assert st.seeds_needed(1.0, d, wanted) == searched == st.seeds_needed(1e-200, d * 1e-200, wanted)
    assert st.seeds_needed(0.23, 1e-5) == pytest.approx(2 * (1.959964 + 0.841621) ** 2 * 0.23**2 / 1e-10, rel=2e-3)


def test_what_is_detectable_takes_as_many_seeds():
    for n, pairs in itertools.product((2, 3, 20, 500), (False, True)):
        smallest = st.detectable_difference(0.23, n, pairs=pairs)
        assert st.achieved_power(n, smallest, 0.23, pairs=pairs) == pytest.approx(0.8)
        assert st.seeds_needed(0.23, smallest * 1.001, pairs=pairs) <= n
    assert st.detectable_errors(1e6) == pytest.approx(1.959964 + 0.841621, abs=1e-4)
