"""Spaces and points."""

import math

import numpy as np
import pytest

from seedspread.config.errors import InputError
from seedspread.search.space import Space
from seedspread.search.trials import Trial, best_trial
from tests.search.synthetic import CONFIG, LR, NOISE, SEEDS, SMOOTHING, SPACE


def test_points_fill_each_range_and_a_wider_search_goes_on_with_the_same_ones():
    points = SPACE.sample_points(64, seed=0)
    assert points[:10] == SPACE.sample_points(10, seed=0) and points != SPACE.sample_points(64, seed=1)
    places = np.array([SPACE.positions(point) for point in points])
    for column in places.T:  # random points would leave an eighth of the range empty or crowded
        assert np.histogram(column, bins=8, range=(0, 1))[0].tolist() == pytest.approx([8] * 8, abs=2)
    assert all(len(str(value)) <= 10 for point in points for value in point.values())


def test_whole_numbers_stay_whole_and_choices_are_spread_evenly():
    space = Space.of(
        {
            "model": {
                "width": {"range": [4, 7], "scale": "linear", "role": "nuisance"},
                "activation": {"range": ["celu", "relu"], "scale": "choice", "role": "scientific"},
            }
        },
        CONFIG,
    )
    points = space.sample_points(100, seed=0)
    assert len(points) == 8, "a finite space ends"
    assert {point["model.width"] for point in points} == {4, 5, 6, 7}
    assert all(isinstance(point["model.width"], int) for point in points)
    *told, left = points
    assert space.suggest_point([(point, 1.0) for point in told], [0, 0]) == left, "none is tried twice"
    assert space.suggest_point([(point, 1.0) for point in points], [0, 0]) is None
    assert not space.contains({"model.width": 4.5, "model.activation": "celu"})


def test_a_key_may_be_called_as_a_part_of_an_entry_is():
    scale = {"range": [0.05, 0.2], "scale": "log", "role": "nuisance"}
    space = Space.of(
        {"model": {"scale": scale, "width": {**scale, "range": [4, 8]}}}, {"model": {"scale": 0.1, "width": 8}}
    )
    assert space.keys == ["model.scale", "model.width"]
    assert Space.of({"model": {"scale": scale}}, {"model": {"scale": 0.1}}).keys == ["model.scale"]


def test_a_proposal_depends_on_what_it_is_told_alone_and_stays_inside():
    told = [(point, -abs(point["loss.smoothing"] - 0.3)) for point in SPACE.sample_points(12, seed=0)]
    point = SPACE.suggest_point(told, [0, 12])
    assert SPACE.contains(point) and point == SPACE.suggest_point(told, [0, 12]) != SPACE.suggest_point(told, [0, 13])
    best = max(told, key=lambda one: one[1])
    assert point != SPACE.suggest_point([*(one for one in told if one != best), (best[0], None)], [0, 12])
    narrow = Space.of({"loss": {"smoothing": {**SMOOTHING, "range": [0.1, 0.2]}}}, CONFIG)
    assert narrow.contains(
        narrow.suggest_point([({"loss.smoothing": 0.4}, 9.0), ({"loss.smoothing": 0.15}, math.nan)], [0, 0])
    )


@pytest.mark.parametrize(
    "entry, says",
    [
        (None, "space=?: the experiment declares none"),
        ({"optimizer": {"rate": LR}}, "space.optimizer.rate: the experiment has no optimizer.rate; optimizer has lr"),
        ({"optimiser": {"lr": LR}}, "space.optimiser.lr: the experiment has no optimiser"),
        ({"optimizer": {"lr": {**LR, "range": [1.0, 0.1]}}}, "space.optimizer.lr.range=[1.0, 0.1]: empty"),
        ({"optimizer": {"lr": {**LR, "range": [0.1, 0.1]}}}, "space.optimizer.lr.range=[0.1, 0.1]: empty"),
        ({"optimizer": {"lr": {**LR, "range": [0.0, 0.1]}}}, "a log scale excludes 0"),
        ({"optimizer": {"lr": {**LR, "range": [0.1]}}}, "space.optimizer.lr.range=[0.1]: give two numbers"),
        ({"optimizer": {"lr": {**LR, "scale": "loog"}}}, "space.optimizer.lr.scale=loog: choose one of log, linear"),
        ({"optimizer": {"lr": {**LR, "role": "main"}}}, "space.optimizer.lr.role=main: choose scientific"),
        ({"optimizer": {"lr": {"range": [0.1, 1.0]}}}, "space.optimizer.lr: give its range, scale and role"),
        ({"optimizer": {"lr": 0.3}}, "space.optimizer.lr: give its range, scale and role"),
        ("small", "space=small: list the keys to search"),
        ({"optimizer": LR}, "space.optimizer: optimizer is a group of settings, not a number"),
        ({"model": {"width": {**LR, "range": [8], "scale": "choice"}}}, "2 or more different values"),
    ],
)
def test_an_invalid_space_is_refused_with_the_fix(entry, says):
    with pytest.raises(InputError) as told:
        Space.of(entry, CONFIG)
    assert says in str(told.value) and len(str(told.value).splitlines()) <= 2


BEST = np.array([0.35, 0.6, 0.25])


def truth(point):
    return 95 - 40 * float(((SPACE.positions(point) - BEST) ** 2).sum())


def simulated(name, point, rng):
    return Trial(name, point, dict(enumerate(truth(point) + rng.normal(0, NOISE, SEEDS))))


def test_exploiting_finds_better_than_exploring_for_as_many_trials():
    gains = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        explored = [simulated(f"trial-{i:03d}", p, rng) for i, p in enumerate(SPACE.sample_points(32, seed))]
        exploited = explored[:16]
        for i in range(16):  # the latest trial still runs while the next is asked for
            told = [(t.point, t.score) for t in exploited[: 16 + max(0, i - 1)]]
            told += [(t.point, None) for t in exploited[len(told) :]]
            exploited = [*exploited, simulated(f"trial-{16 + i:03d}", SPACE.suggest_point(told, [seed, i]), rng)]
        gains.append(truth(best_trial(exploited).point) - truth(best_trial(explored).point))
    assert np.median(gains) > 0.2 and np.mean(np.array(gains) > 0) > 0.6


def test_scores_to_be_minimized_lead_where_their_negatives_would():
    points = SPACE.sample_points(12, 0)
    scores = [*np.random.default_rng(0).normal(90, 1, 11), math.nan]
    up = [*zip(points, scores, strict=True)]
    down = [(point, -score) for point, score in up]
    study = SPACE.to_optuna(down, direction="minimize")
    assert study.best_value == -max(scores[:11]) and study.trials[11].value == -min(scores[:11])
    assert SPACE.suggest_point(down, [0, 12], "minimize") == SPACE.suggest_point(up, [0, 12])
