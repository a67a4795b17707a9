"""What is said of a search follows its records."""

import json
import shlex

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from seedspread.config.overrides import parse_seeds
from seedspread.report.search_words import _around, _stretch, cautions, search_headline, trial_command
from seedspread.search.results import SearchResults
from seedspread.search.space import Space
from tests.search.synthetic import CONFIG, SPACE, write_search


def test_warnings_follow_the_records(tmp_path):
    edge = {"optimizer.lr": 9.9, "optimizer.weight_decay": 0.001, "loss.smoothing": 0.25}
    far = {"optimizer.lr": 0.002, "optimizer.weight_decay": 0.00001, "loss.smoothing": 0.05}
    jumping = [50, 90, 60, 95, 70, 96, 60, 93]
    folder = write_search(
        tmp_path, [(edge, [jumping, [c + 0.2 for c in jumping]]), (far, [[50.0] * 8]), (far, [[9.0] * 8])], {2}
    )
    told = SearchResults.of(folder, SPACE)
    words = "\n".join(cautions(told))
    assert "The best optimizer.lr (9.9) lies at the upper edge of 0.001 to 10" in words
    assert "'space.optimizer.lr.range=[0.001,1000]'" in words
    assert "No other point near the best" in words and "search=exploit 'space.optimizer.lr.range=[0.4642,10]'" in words
    assert "Unstable: from epoch to epoch" in words
    assert "Overfitting: the test loss of trial-000 ends 400 % above its minimum after epoch 4" in words
    assert "1 of 3 trials diverged" in words and "Trials have 1 to 2 seeds" in words
    assert search_headline(told).startswith(
        "trial-000 is the best of 2 trials with 93.10 %, not yet judged on fresh seeds: run"
    )


@pytest.mark.parametrize("ends", [[4, 7], [1, 2], [16, 128], [1000, 3000]])
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_ranges_that_are_advised_can_be_typed_and_keep_numbers_whole(ends, scale):
    entry = {"range": ends, "scale": scale, "role": "nuisance"}

    def typed_in(words):
        (h,) = Space.of({"model": {"width": {**entry, "range": json.loads(words)}}}, CONFIG).hyperparameters
        assert h.whole and h.range[0] >= 1
        return h.range

    (h,) = Space.of({"model": {"width": entry}}, CONFIG).hyperparameters
    assert typed_in(_stretch(h, 0, 1)) == tuple(ends)
    assert typed_in(_stretch(h, -0.5, 1)) <= tuple(ends) and typed_in(_stretch(h, 0, 1.5))[1] > ends[1]
    for value in range(*ends, max(1, (ends[1] - ends[0]) // 7)):
        low, high = typed_in(_around(h, value))
        assert ends[0] <= low <= value <= high <= ends[1]


def test_numbers_above_zero_are_not_widened_below_and_close_ends_stay_apart():
    def advised(ends, *places):
        entry = {"range": ends, "scale": "linear", "role": "nuisance"}
        (h,) = Space.of({"loss": {"smoothing": entry}}, CONFIG).hyperparameters
        return _stretch(h, *places)

    assert advised([0.1, 0.5], -0.5, 1) == "[0,0.5]" and advised([-1.0, 1.0], -0.5, 1) == "[-2,1]"
    assert advised([0.991, 0.994], 0, 1 / 3) == "[0.991,0.992]"


def test_the_command_of_a_trial_names_its_seeds_as_a_sweep_reads_them(tmp_path):
    point = SPACE.sample_points(1, 0)[0]
    folder = write_search(tmp_path, [(point, [[90.0], [91.0], [92.0], [93.0]])])
    for gone, seeds in ((0, [1, 2, 3]), (2, [1, 3])):
        (folder / "trial-000" / "seeds" / f"{gone:06d}.json").unlink()
        told = SearchResults.of(folder, SPACE)
        words = shlex.split(trial_command(told, told.best))
        assert words[3] == "-m" and parse_seeds(OverridesParser.create().parse_override(words[4])) == seeds


def test_a_good_search_is_not_warned_of(tmp_path):
    rising = [50, 80, 90, 92, 93, 93.5, 93.8, 94]
    points = [p for p in SPACE.sample_points(200, 0) if np.abs(SPACE.positions(p) - 0.5).max() < 0.13][:6]
    folder = write_search(tmp_path, [(p, [[c + i / 10 for c in rising][:4], rising[:4]]) for i, p in enumerate(points)])
    (only,) = cautions(SearchResults.of(folder, SPACE))
    assert only.startswith("The 5 trials were compared on the examples that judge the winner as well")
