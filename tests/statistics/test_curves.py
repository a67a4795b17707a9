"""Bands of curves against pandas; where a curve is flat and whether its spread falls."""

import math

import numpy as np
import pandas as pd
import pytest

from seedspread import statistics as st
from tests.statistics.simulation import covered

RNG = np.random.default_rng(7)
SCORES = RNG.normal(90, 0.2, 30)
CURVES = 90 + RNG.normal(0, 0.3, (25, 6)) - 20 * np.exp(-np.arange(6))


def test_bands_and_running_bands_are_pandas():
    table, band = pd.DataFrame(CURVES), st.bands(CURVES)
    for name in ("mean", "std", "min", "max"):
        assert getattr(band, name) == pytest.approx(getattr(table, name)().to_numpy())
    series, band = pd.Series(SCORES).expanding(), st.running(SCORES)
    for name in ("mean", "std", "min", "max"):
        assert getattr(band, name) == pytest.approx(getattr(series, name)().to_numpy(), nan_ok=True)
    assert np.isnan(st.bands(CURVES[:1]).std).all()


def test_where_a_curve_is_flat():
    mean = np.array([0, 50, 80, 90.0, 90.05, 89.95, 90])
    curves = mean + np.random.default_rng(0).normal(0, 1, (40, 1)) * np.ones(7)
    assert st.flat_from(curves) == 3
    assert st.flat_from(np.array([[1.0, 2.0, 3.0]])) == 2  # one seed has no std to measure by
    stuck = np.vstack([curves, np.full((5, 7), 10.0)])
    assert st.flat_from(stuck) == 3  # a few seeds far off do not make it flat sooner


def test_whether_the_spread_goes_on_falling():
    rng = np.random.default_rng(0)
    same = rng.normal(90, 0.2, (300, 1)) + rng.normal(0, 0.05, (300, 20))
    ratio, (low, high) = st.late_spread_ratio(same, 0)
    assert low < 1 < high and ratio == pytest.approx(1, abs=0.05)
    falling = 90 + rng.normal(0, 1, (300, 20)) * np.linspace(2, 1, 20)
    stds = falling.std(axis=0, ddof=1)
    ratio, (low, high) = st.late_spread_ratio(falling, 0)
    assert high < 1 and low < ratio < high
    assert math.isnan(st.late_spread_ratio(np.full((20, 8), 90.7), 0)[0])  # though rounding leaves them a std
    assert ratio == pytest.approx(math.sqrt((stds[10:] ** 2).mean() / (stds[:10] ** 2).mean()))


@pytest.mark.parametrize("n", [10, 20, 50])
def test_the_interval_of_the_late_ratio_covers(n):
    def curves(rng, n):
        return rng.normal(90, 0.2, (n, 1)) + rng.normal(0, 0.1, (n, 12))

    def ratio(curves):
        return st.late_spread_ratio(curves, 2)[1]

    assert 93 <= covered(ratio, curves, 1.0, n, 2000) <= 97
