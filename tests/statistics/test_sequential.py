"""The sequential test against its definition, by integration, and in simulations of what `decide` calls."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from benchmarks.decide_rates import KINDS, decide, draw_null, upper_limit
from seedspread import statistics as st
from seedspread.statistics import Outcome


def mixture_evidence(t: float, n: int) -> float:
    """The evidence against a mean of 0 by integration: densities of noncentral t over the prior of the effect."""
    prior = stats.norm(0, 0.5)  # whose variance is PRIOR_VARIANCE

    def weighted(effect: float) -> float:
        return float(prior.pdf(effect) * stats.nct.pdf(t, n - 1, effect * math.sqrt(n)))

    value, _ = integrate.quad(weighted, -3, 3, points=[0], limit=200)
    return float(value / stats.t.pdf(t, n - 1))


@pytest.mark.parametrize(("t", "n"), [(0.0, 3), (1.0, 3), (2.5, 10), (-4.0, 12), (3.3, 60)])
def test_the_evidence_is_that_of_the_t_statistic_under_a_gaussian_prior(t: float, n: int) -> None:
    assert math.exp(st.log_e_value(np.array(t), n)) == pytest.approx(mixture_evidence(t, n), rel=1e-6)


@pytest.mark.parametrize("n", [7, 8, 20, 100, 10_000])
def test_the_critical_t_is_where_the_evidence_reaches_one_by_alpha(n: int) -> None:
    assert st.log_e_value(st.critical_t(n, 0.05), n) == pytest.approx(math.log(20))


def test_no_mean_is_rejected_with_six_differences_or_fewer() -> None:
    assert np.isinf(st.critical_t(np.arange(7))).all()
    apart = np.array([5.0, 5.0001, 4.9999, 5.0, 5.0, 5.0])
    assert st.look(np.zeros(6), apart, 1, 100.0).outcome == Outcome.UNDECIDED


def test_a_look_has_the_interval_of_its_t() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(90, 1, 30), rng.normal(92, 1, 30)
    found, apart = st.look(one, other, 1, 0.5), other - one
    assert found.mean == pytest.approx(apart.mean())
    assert found.error == pytest.approx(stats.sem(apart))
    half = st.critical_t(30, 0.045) * stats.sem(apart)
    assert (found.low, found.high) == pytest.approx((apart.mean() - half, apart.mean() + half))
    assert found.outcome == Outcome.BETTER
    assert st.look(one, other, -1, 0.5).outcome == Outcome.WORSE
    assert st.look(one, other, 1, 10.0).outcome == Outcome.EQUIVALENT  # a sure gain, below what it is worth


def test_equal_differences_decide_nothing() -> None:
    scores = np.linspace(90, 91, 30)
    assert st.look(scores, scores, 1, 0.5).outcome == Outcome.UNDECIDED
    assert st.look(scores, scores + 1 / 3, 1, 0.5).outcome == Outcome.UNDECIDED


def collapse(scores: np.ndarray, where: np.ndarray) -> np.ndarray:
    return np.where(where, 10.0, scores)


def test_collapsed_seeds_of_one_arm_alone_withhold_what_is_in_its_favour() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.normal(90, 1, (2, 40))
    some = np.arange(40) % 20 == 7
    better = other + 3
    assert st.look(one, better, 1, 0.5).outcome == Outcome.BETTER
    found = st.look(one, collapse(better, some), 1, 0.5)
    assert found.outcome == Outcome.UNDECIDED
    assert (found.low > 0, found.healthy, tuple(found.collapsed)) == (True, 38, (0, 2))
    assert st.look(collapse(one, some), better, 1, 0.5).outcome == Outcome.BETTER
    assert st.look(collapse(one, some), collapse(better, some), 1, 0.5).outcome == Outcome.BETTER  # both collapse
    assert st.look(one, other, 1, 3.0).outcome == Outcome.EQUIVALENT
    assert st.look(one, np.where(some, np.nan, other), 1, 3.0).outcome == Outcome.UNDECIDED  # diverged


def test_rates_of_collapse_that_differ_decide_where_the_means_do_not_object() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(90, 1, (2, 60))
    many = np.arange(60) % 4 == 1
    assert st.look(one, collapse(other, many), 1, 0.5).outcome == Outcome.WORSE
    assert st.look(collapse(one, many), other, 1, 0.5).outcome == Outcome.BETTER
    assert st.look(one, collapse(other + 9, many), 1, 0.5).outcome == Outcome.UNDECIDED  # better, where it trains


def test_the_evidence_of_signs_is_the_uniform_mixture_of_odds() -> None:
    value, _ = integrate.quad(lambda odds: (2 * odds) ** 7 * (2 * (1 - odds)) ** 3, 0, 1)
    assert math.exp(st.log_e_of_signs(np.array(7), np.array(3))) == pytest.approx(value)


def test_the_upper_limit_of_a_std_covers_it_in_80_percent() -> None:
    draws = np.random.default_rng(3).normal(0, 2, (20_000, 6)).std(axis=1, ddof=1)
    limit = st.std_upper_limit(1.0, 6)
    assert (draws * limit > 2).mean() == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("worth", [0.4, 1.0, 2.0])
def test_planned_pairs_decide_with_the_power_that_is_planned(worth: float) -> None:
    pairs = st.pairs_needed(1.0, worth)
    assert st.chance_of_outcome(pairs, 1.0, worth) >= 0.8 > st.chance_of_outcome(pairs - 1, 1.0, worth)
    rng, repeats = np.random.default_rng(4), 2000
    for truth, wanted in ((0.0, Outcome.EQUIVALENT), (worth, Outcome.BETTER)):
        outcomes, _ = decide(np.zeros((repeats, pairs)), rng.normal(truth, 1, (repeats, pairs)), worth)
        assert (outcomes == wanted).mean() > 0.8


def check_rates(kind: str, repeats: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = draw_null(kind, (repeats, 100), rng)
    outcomes, _ = decide(one, other, None)
    assert upper_limit(int((outcomes != 0).sum()), repeats) < 0.055
    worth = 1.5 * float((other - one)[np.abs(other - one) < 20].std() / math.sqrt(2))
    one, other = draw_null(kind, (repeats, 100), rng)
    outcomes, _ = decide(one, other + worth, worth)
    assert upper_limit(int(((outcomes != Outcome.BETTER) & (outcomes != 0)).sum()), repeats) < 0.055
    assert (outcomes == Outcome.BETTER).mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_looking_after_every_pair_keeps_the_rate_of_false_verdicts(kind: str) -> None:
    check_rates(kind, 1000, 5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_20_000_repeats_keep_the_rate_of_false_verdicts(kind: str) -> None:
    check_rates(kind, 20_000, 6)
