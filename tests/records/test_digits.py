"""Scores as text."""

import math

import numpy as np
import pytest

from seedspread.records.digits import Digits
from seedspread.records.metric import Metric

ACCURACY, RMSE, SECONDS = Metric.of("val/acc"), Metric.of("val/rmse"), Metric.of("time", unit="seconds")


@pytest.mark.parametrize(
    "metric, scores, mean, std, says",
    [
        (ACCURACY, [90.1, 90.5, 90.9], 90.5, 0.4, "90.50 ± 0.40 %"),
        (ACCURACY, [90.5], 90.5, math.nan, "90.50 %"),
        (RMSE, [53.89, 54.31, 54.73], 54.31, 0.42, "54.31 ± 0.42"),
        (RMSE, [0.4092, 0.4123, 0.4154], 0.4123, 0.0031, "0.4123 ± 0.0031"),
        (RMSE, [1250, 1286, 1322], 1286, 36, "1286 ± 36"),
        (RMSE, [1.2e-5], 1.2e-5, math.nan, "1.200e-5"),
        (RMSE, [1.17e-5, 1.2e-5, 1.23e-5], 1.2e-5, 3e-7, "1.200e-5 ± 0.030e-5"),
        (RMSE, [12_300_000, 12_345_678, 12_391_356], 12_345_678, 45_678, "1.2346e7 ± 0.0046e7"),
        (RMSE, [-54.73, -54.31, -53.89], -54.31, 0.42, "-54.31 ± 0.42"),
        (RMSE, [0.0, 0.0], 0.0, 0.0, "0.0000 ± 0.0000"),
        (SECONDS, [12.34], 12.34, math.nan, "12.34 s"),
    ],
)
def test_decimals_follow_the_spread_and_the_unit_stands_behind(metric, scores, mean, std, says):
    digits = Digits.of(metric, scores)
    assert digits.plus_minus(mean, std) + digits.suffix == says


def test_differences_of_percent_are_points():
    digits = Digits.of(ACCURACY, [90.1, 90.5])
    assert (
        digits.difference(0.4) == "0.40 points" and digits.value(90.1) == "90.10 %" and digits.signed(-0.4) == "-0.40"
    )
    assert Digits.of(RMSE, [90.1, 90.5]).difference(0.4) == "0.40"


def test_a_narrow_interval_has_one_decimal_more():
    digits = Digits.of(ACCURACY, [90.0])
    assert digits.interval(90.0, 90.2) == "90.00 to 90.20" and digits.interval(90.0, 90.05) == "90.000 to 90.050"


@pytest.mark.parametrize("scale", [1e-9, 1e-4, 1e-2, 1.0, 1e3, 1e8])
def test_what_is_written_keeps_two_digits_of_the_std(scale):
    scores = scale * np.random.default_rng(0).normal(5, 0.1, 20)
    digits, std = Digits.of(RMSE, scores), scores.std(ddof=1)
    assert float(digits.plain(std)) == pytest.approx(std, rel=0.05)
    assert float(digits.plain(scores.mean())) == pytest.approx(scores.mean(), abs=0.05 * std)
