"""Searches: spaces, points, the honesty of the winner, and the command from end to end, killed and resumed."""

import fcntl
import json
import math
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from nbclient import NotebookClient

from seedspread.commands.train import main as train_main
from seedspread.commands.tune import main
from seedspread.config.errors import InputError
from seedspread.config.overrides import format_value, parse_seeds
from seedspread.decide.verdict import Arm
from seedspread.records.study import Study
from seedspread.report.search_page import write_search_page
from seedspread.report.search_words import _around, _stretch, cautions, search_headline, trial_command
from seedspread.search.judge import Judgement, judge_winner
from seedspread.search.plan import Agenda, Search, read_space
from seedspread.search.results import SearchResults
from seedspread.search.space import Space
from seedspread.search.trials import FIRST_FRESH_SEED, Trial, best_trial, check_baseline, read_trials
from tests.conftest import CONF, ROOT

CONFIG = {
    "optimizer": {"lr": 0.1, "weight_decay": 1e-3},
    "model": {"width": 8, "activation": "celu"},
    "loss": {"smoothing": 0.2},
}
LR = {"range": [0.001, 10.0], "scale": "log", "role": "nuisance"}
SMOOTHING = {"range": [0.0, 0.5], "scale": "linear", "role": "scientific"}
DECLARED = {"optimizer": {"lr": LR, "weight_decay": {**LR, "range": [1e-6, 0.1]}}, "loss": {"smoothing": SMOOTHING}}
SPACE = Space.of(DECLARED, CONFIG)


# Spaces and points.


def test_points_fill_each_range_and_a_wider_search_goes_on_with_the_same_ones():
    points = SPACE.explored(64, seed=0)
    assert points[:10] == SPACE.explored(10, seed=0) and points != SPACE.explored(64, seed=1)
    places = np.array([SPACE.places(point) for point in points])
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
    points = space.explored(100, seed=0)
    assert len(points) == 8, "a finite space ends"
    assert {point["model.width"] for point in points} == {4, 5, 6, 7}
    assert all(isinstance(point["model.width"], int) for point in points)
    *told, left = points
    assert space.proposed([(point, 1.0) for point in told], [0, 0]) == left, "none is tried twice"
    assert space.proposed([(point, 1.0) for point in points], [0, 0]) is None
    assert not space.holds({"model.width": 4.5, "model.activation": "celu"})


def test_a_key_may_be_called_as_a_part_of_an_entry_is():
    scale = {"range": [0.05, 0.2], "scale": "log", "role": "nuisance"}
    space = Space.of(
        {"model": {"scale": scale, "width": {**scale, "range": [4, 8]}}}, {"model": {"scale": 0.1, "width": 8}}
    )
    assert space.keys == ["model.scale", "model.width"]
    assert Space.of({"model": {"scale": scale}}, {"model": {"scale": 0.1}}).keys == ["model.scale"]


@pytest.mark.parametrize(
    "value",
    [
        *("cosine", "/tmp/results", "/tmp/my results", "/tmp/a=b,c", "it's", "back\\", "a\\'b", "", "true", "Null"),
        *("nan", "1e3", "résultats", None, True, False, 3, -0.5, 1e-05),
    ],
)
def test_values_are_typed_so_that_hydra_reads_them_back(value):
    read = OverridesParser.create().parse_override(f"key={format_value(value)}").value()
    assert str(read) == str(value) and isinstance(read, type(value)) and isinstance(value, type(read))


def test_a_proposal_depends_on_what_it_is_told_alone_and_stays_inside():
    told = [(point, -abs(point["loss.smoothing"] - 0.3)) for point in SPACE.explored(12, seed=0)]
    point = SPACE.proposed(told, [0, 12])
    assert SPACE.holds(point) and point == SPACE.proposed(told, [0, 12]) != SPACE.proposed(told, [0, 13])
    best = max(told, key=lambda one: one[1])
    assert point != SPACE.proposed([*(one for one in told if one != best), (best[0], None)], [0, 12])
    narrow = Space.of({"loss": {"smoothing": {**SMOOTHING, "range": [0.1, 0.2]}}}, CONFIG)
    assert narrow.holds(narrow.proposed([({"loss.smoothing": 0.4}, 9.0), ({"loss.smoothing": 0.15}, math.nan)], [0, 0]))


@pytest.mark.parametrize(
    "entry, says",
    [
        (None, "space=?: the experiment declares none"),
        ({"optimizer": {"rate": LR}}, "space.optimizer.rate: the experiment has no optimizer.rate; optimizer has lr"),
        ({"optimiser": {"lr": LR}}, "space.optimiser.lr: the experiment has no optimiser"),
        ({"optimizer": {"lr": {**LR, "range": [1.0, 0.1]}}}, "space.optimizer.lr.range=[1.0, 0.1]: empty"),
        ({"optimizer": {"lr": {**LR, "range": [0.1, 0.1]}}}, "space.optimizer.lr.range=[0.1, 0.1]: empty"),
        ({"optimizer": {"lr": {**LR, "range": [0.0, 0.1]}}}, "a log scale has no zero in it"),
        ({"optimizer": {"lr": {**LR, "range": [0.1]}}}, "space.optimizer.lr.range=[0.1]: two numbers"),
        ({"optimizer": {"lr": {**LR, "scale": "loog"}}}, "space.optimizer.lr.scale=loog: choose one of log, linear"),
        ({"optimizer": {"lr": {**LR, "role": "main"}}}, "space.optimizer.lr.role=main: scientific, where"),
        ({"optimizer": {"lr": {"range": [0.1, 1.0]}}}, "space.optimizer.lr: say its range, scale and role"),
        ({"optimizer": {"lr": 0.3}}, "space.optimizer.lr: say its range, scale and role"),
        ("small", "space=small: say which keys to search"),
        ({"optimizer": LR}, "space.optimizer: optimizer is a group of settings, no number"),
        ({"model": {"width": {**LR, "range": [8], "scale": "choice"}}}, "2 or more different values"),
    ],
)
def test_what_is_no_space_is_told_with_the_fix(entry, says):
    with pytest.raises(InputError) as told:
        Space.of(entry, CONFIG)
    assert says in str(told.value) and len(str(told.value).splitlines()) <= 2


# Simulated searches: a known optimum, and noise between seeds as digits have it.

SEEDS, NOISE = 3, 0.8
BEST = np.array([0.35, 0.6, 0.25])


def truth(point):
    return 95 - 40 * float(((SPACE.places(point) - BEST) ** 2).sum())


def simulated(name, point, rng):
    return Trial(name, point, dict(enumerate(truth(point) + rng.normal(0, NOISE, SEEDS))))


def test_exploiting_finds_better_than_exploring_for_as_many_trials():
    gains = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        explored = [simulated(f"trial-{i:03d}", p, rng) for i, p in enumerate(SPACE.explored(32, seed))]
        exploited = explored[:16]
        for i in range(16):  # the latest trial still runs while the next is asked for
            told = [(t.point, t.score) for t in exploited[: 16 + max(0, i - 1)]]
            told += [(t.point, None) for t in exploited[len(told) :]]
            exploited = [*exploited, simulated(f"trial-{16 + i:03d}", SPACE.proposed(told, [seed, i]), rng)]
        gains.append(truth(best_trial(exploited).point) - truth(best_trial(explored).point))
    assert np.median(gains) > 0.2 and np.mean(np.array(gains) > 0) > 0.6


def test_the_chosen_score_is_too_high_and_the_honest_one_is_not():
    errors = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        points = SPACE.explored(32, 0)
        trials = [Trial(f"t{i}", p, dict(enumerate(90 + rng.normal(0, NOISE, SEEDS)))) for i, p in enumerate(points)]
        winner = best_trial(trials)
        fresh = np.arange(20)
        baseline, candidate = (Arm(n, 90 + rng.normal(0, NOISE, 20), fresh) for n in ("baseline", "fresh"))
        errors.append((winner.score - 90, candidate.scores.mean() - 90))
    chosen, honest = np.mean(errors, axis=0)
    standard_error = NOISE / math.sqrt(20 * 400)
    assert abs(honest) < 3 * standard_error
    assert chosen == pytest.approx(2.07 * NOISE / math.sqrt(SEEDS), rel=0.05), "the expected maximum of 32 normal draws"
    j = Judgement.of(winner, baseline, candidate)
    assert j.curse == pytest.approx(winner.score - candidate.scores.mean()) and j.decision in ("keep", "more seeds")


@pytest.mark.parametrize(
    "difference, noise, seeds, diverged, decision",
    [
        (1.0, 0.3, 20, (0, 0), "adopt"),
        (-1.0, 0.3, 20, (0, 0), "keep"),
        (0.01, 0.3, 20, (0, 0), "keep"),
        (1.0, 0.3, 20, (0, 2), "keep"),
        (1.0, 2.0, 3, (0, 0), "more seeds"),
    ],
)
def test_a_winner_is_adopted_only_where_fresh_seeds_show_it_better(difference, noise, seeds, diverged, decision):
    rng = np.random.default_rng(0)
    baseline, candidate = (
        Arm(name, 90 + better + rng.normal(0, noise, seeds), np.arange(seeds))
        for name, better in (("baseline", 0.0), ("trial-000-fresh", difference))
    )
    trial = Trial("trial-000", {}, {0: 91.0})
    assert Judgement.of(trial, baseline, candidate, diverged).decision == decision


def test_winner_and_baseline_are_told_on_the_fresh_seeds_that_both_finished():
    baseline = Arm("baseline", np.array([10.0, 90, 91, 93]), np.array([0, 1, 2, 3]))
    candidate = Arm("trial-000-fresh", np.array([92.0, 92, 96, 50]), np.array([1, 2, 3, 4]))
    j = Judgement.of(Trial("trial-000", {}, {0: 97.0}), baseline, candidate)
    assert j.baseline.tolist() == [90, 91, 93] and j.honest.tolist() == [92, 92, 96]
    assert j.honest_score - j.baseline.mean() == pytest.approx(j.compared.primary.value)
    assert j.curse == pytest.approx(97 - 280 / 3)


@pytest.mark.parametrize(
    "difference, decision, says",
    [
        (0.0, "keep", "trial-000-fresh and baseline have the same score on each of 2 seeds"),
        (0.4, "more seeds", "differs from baseline by +0.40 on each of 2 seeds"),
        (-0.4, "keep", "differs from baseline by -0.40 on each of 2 seeds"),
    ],
)
def test_a_winner_as_far_from_the_baseline_on_each_seed_is_judged_without_a_test(difference, decision, says):
    scores = np.array([95.2, 96.2])
    arms = (Arm(n, s, np.array([0, 1])) for n, s in (("baseline", scores), ("trial-000-fresh", scores + difference)))
    j = Judgement.of(Trial("trial-000", {}, {0: 97.0}), *arms)
    assert (j.compared, j.decision) == (None, decision) and says in j.reason
    assert j.curse == pytest.approx(97 - 95.7 - difference)


def made_up(tmp_path, points_and_scores, diverged=()):
    """A search without training: trials and the records that the page reads."""
    folder = tmp_path / "made-search"
    for i, (point, scores) in enumerate(points_and_scores):
        trial = Trial(f"trial-{i:03d}", point, {}, space=SPACE.described())
        trial.describe(folder / trial.name)
        study = Study.open(folder / trial.name, {"point": point})
        for seed, curve in enumerate(scores):
            epochs = {"epoch": [*range(len(curve))], "val/acc": [c / 100 for c in curve]}
            epochs |= {"train/acc": epochs["val/acc"], "train/loss": [2 - 0.1 * e for e in epochs["epoch"]]}
            epochs["val/loss"] = [abs(e - 3) + 1.0 for e in epochs["epoch"]]
            final = {metric: values[-1] for metric, values in epochs.items() if metric != "epoch"}
            study.write(
                {"schema": 1, "seed": seed, "status": "diverged" if i in diverged else "finished", "reason": None}
                | {"config_digest": study.digest, "metrics": {"epochs": epochs, "final": final}, "test_examples": 500}
                | {"seconds": {"setup": 0.1, "train": 1.0, "score": 0.1}, "environment": {}, "ended": "2026-01-01"}
                | {"command": f"python -m src.train seed={seed} study={trial.name}"}
            )
    return folder


def test_damaged_files_of_a_search_are_named(tmp_path):
    folder = made_up(tmp_path, [(point, [[90.0], [92.0]]) for point in SPACE.explored(3, 0)])
    (folder / "trial-001" / "seeds" / "000001.json").write_text("{")
    told = SearchResults.of(folder, SPACE)
    assert any(line.startswith("Not counted: trial-001/seeds/000001.json: ") for line in cautions(told))
    (folder / "trial-002" / "study.yaml").rename(tmp_path / "study.yaml")
    with pytest.raises(InputError, match=r"trial-002/study.yaml is not there"):
        SearchResults.of(folder, SPACE)
    (tmp_path / "study.yaml").rename(folder / "trial-002" / "study.yaml")
    for damage in ("garbage", "{}", "[]"):
        (folder / "trial-000" / "trial.json").write_text(damage)
        with pytest.raises(InputError, match=r"trial-000/trial.json is damaged"):
            SearchResults.of(folder, SPACE)


def test_trials_that_were_never_trained_are_no_part_of_a_page(tmp_path):
    first, *others = SPACE.explored(3, 0)
    folder = made_up(tmp_path, [(first, [[90.0], [91.0]]), *((point, []) for point in others)])
    assert [trial.name for trial in SearchResults.of(folder, SPACE).trials] == ["trial-000"]
    fewer = Space(SPACE.hyperparameters[:2])
    with pytest.raises(InputError, match="trial-000 has optimizer.lr, .*: type the space of that search"):
        SearchResults.of(folder, fewer)


def test_warnings_follow_the_records(tmp_path):
    edge = {"optimizer.lr": 9.9, "optimizer.weight_decay": 0.001, "loss.smoothing": 0.25}
    far = {"optimizer.lr": 0.002, "optimizer.weight_decay": 0.00001, "loss.smoothing": 0.05}
    jumping = [50, 90, 60, 95, 70, 96, 60, 93]
    folder = made_up(
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
        "trial-000 is best of 2 trials with 93.10 %, and not judged on fresh seeds: run"
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
    point = SPACE.explored(1, 0)[0]
    folder = made_up(tmp_path, [(point, [[90.0], [91.0], [92.0], [93.0]])])
    for gone, seeds in ((0, [1, 2, 3]), (2, [1, 3])):
        (folder / "trial-000" / "seeds" / f"{gone:06d}.json").unlink()
        told = SearchResults.of(folder, SPACE)
        words = shlex.split(trial_command(told, told.best))
        assert words[3] == "-m" and parse_seeds(OverridesParser.create().parse_override(words[4])) == seeds


def test_a_config_that_trained_nothing_does_not_bar_the_way(tmp_path):
    folder = made_up(tmp_path, [])
    folder.mkdir()
    check_baseline(folder, {"trainer": {"max_epochs": 0}})
    check_baseline(folder, {"trainer": {"max_epochs": 20}})
    made_up(tmp_path, [(SPACE.explored(1, 0)[0], [[90.0]])])
    check_baseline(folder, {"trainer": {"max_epochs": 20}})
    with pytest.raises(InputError, match="max_epochs: 20 there, 21 now"):
        check_baseline(folder, {"trainer": {"max_epochs": 21}})
    with pytest.raises(InputError, match=r"6 now; 2 more\)"):
        check_baseline(folder, {f"key{i}": i for i in range(1, 8)})
    place, config = folder / "search.yaml", {"trainer": {"max_epochs": 20}}
    kept = place.read_bytes()
    for damage in (b"", b"x: 1", b"{["):
        place.write_bytes(damage)
        with pytest.raises(InputError, match="search.yaml is damaged"):
            check_baseline(folder, config)
    place.unlink()
    with pytest.raises(InputError, match="holds records but no search.yaml"):
        check_baseline(folder, config)
    place.write_bytes(kept)
    check_baseline(folder, config)
    (tmp_path / "file").write_text("")
    for begin in (lambda f: check_baseline(f, {}), lambda f: Trial("trial-000", {}, {}).describe(f)):
        with pytest.raises(InputError, match="cannot write to .*file"):
            begin(tmp_path / "file" / "made-search")


def test_a_page_that_cannot_be_made_leaves_the_one_before(tmp_path):
    told = SearchResults.of(made_up(tmp_path, [(SPACE.explored(1, 0)[0], [[90.0, 91.0]])]), SPACE)
    page = write_search_page(told, told.folder / "report")
    before = {path: path.read_bytes() for path in page.parent.iterdir()}
    with pytest.raises(KeyError):
        write_search_page(replace(told, best=replace(told.best, point={})), page.parent)
    assert {path: path.read_bytes() for path in page.parent.iterdir()} == before
    assert sorted(path.name for path in told.folder.iterdir()) == ["report", "trial-000"]


def test_a_good_search_is_not_warned_of(tmp_path):
    rising = [50, 80, 90, 92, 93, 93.5, 93.8, 94]
    points = [p for p in SPACE.explored(200, 0) if np.abs(SPACE.places(p) - 0.5).max() < 0.13][:6]
    folder = made_up(tmp_path, [(p, [[c + i / 10 for c in rising][:4], rising[:4]]) for i, p in enumerate(points)])
    assert list(cautions(SearchResults.of(folder, SPACE))) == []


def test_a_trial_counts_as_diverged_only_where_all_its_seeds_did():
    assert Trial("a", {}, {}, diverged=(0, 1)).has_diverged
    partly = Trial("b", {}, {1: 90.0}, diverged=(0,))
    assert not partly.has_diverged and partly.score == 90.0
    assert best_trial([Trial("a", {}, {}, (0,)), partly, Trial("c", {}, {0: 90.0})]) is partly


# The command.

QUICK = (
    "experiment=digits", "trainer=cpu", "trainer.max_epochs=1", "model.width=2", "jobs=2",
    "trials=3", "seeds_per_trial=2", "fresh_seeds=3",
)  # fmt: skip


@pytest.fixture
def tune(invoked, tmp_path, cache):
    """Run `seedspread tune ARGUMENTS` within this process; exit code, standard output, standard error."""
    fixed = [f"results={tmp_path}/results", f"data.cache={cache}"]
    return lambda *arguments, entry=main: invoked(entry, *arguments, *fixed)


def hashes(folder: Path) -> dict[str, dict[int, str]]:
    return {
        path.parent.name: {s: r["weights_sha256"] for s, r in Study.load(path.parent).scan().records.items()}
        for path in folder.glob("*/study.yaml")
    }


def test_a_search_from_end_to_end(tune, small, tmp_path):
    code, out, err = tune(*QUICK)
    folder = tmp_path / "results" / "digits-search"
    assert code == 0 and not err
    trials = read_trials(folder)
    assert [trial.point for trial in trials] == read_space(small()).explored(3, 0)
    assert all(list(trial.scores) == [0, 1] for trial in trials)
    winner, fresh = best_trial(trials), [FIRST_FRESH_SEED + i for i in range(3)]
    found = hashes(folder)
    assert list(found["baseline"]) == list(found[f"{winner.name}-fresh"]) == fresh
    judgement = judge_winner(folder, winner)
    assert f"{judgement.curse:+.2f} points" in out and "better than it is" in out
    page = (folder / "report" / "index.html").read_text()
    assert page.count("data:image/svg+xml") == 5 and "winner&#x27;s curse" in page.replace("'", "&#x27;")
    assert f'href="../{winner.name}/study.yaml"' in page
    table = pd.read_csv(folder / "report" / "trials.csv")
    assert table["accuracy_percent"].tolist() == pytest.approx([trial.score for trial in trials])

    # Each record's command trains the same network.
    record = Study.load(folder / "trial-001").record(1)
    again = [*shlex.split(record["command"])[3:], f"results={tmp_path}/again"]
    assert tune(*again, entry=train_main)[0] == 0
    assert hashes(tmp_path / "results")["trial-001"][1] == found["trial-001"][1]

    # The same command trains nothing; a wider one goes on; exploring is gone on with.
    records = {path: path.stat().st_mtime_ns for path in folder.glob("*/seeds/*.json")}
    code, out, _ = tune(*QUICK, "trials=4")
    assert code == 0 and "3 of 4 trials have their records, 1 to train" in out
    assert [trial.point for trial in read_trials(folder)] == read_space(small()).explored(4, 0)
    narrow = "space.optimizer.lr.range=[0.1,0.5]"
    code, out, _ = tune(*QUICK, "search=exploit", "trials=2", narrow, "fresh_seeds=0")
    assert code == 0
    assert "search=exploit trials=18" in out, "16 more of them"
    latest = read_trials(folder)[4:]
    assert [trial.search for trial in latest] == ["exploit"] * 2
    assert all(0.1 <= trial.point["optimizer.lr"] <= 0.5 for trial in latest)
    assert {path: path.stat().st_mtime_ns for path in records} == records
    before = sorted(folder.glob("*/seeds/*.json"))
    assert tune(*QUICK, "report=true")[0] == 0 and sorted(folder.glob("*/seeds/*.json")) == before

    # Another config is refused.
    code, _, err = tune(*QUICK, "optimizer.momentum=0.8")
    assert code == 1 and "optimizer.momentum: 0.9 there, 0.8 now" in err and "study=digits_2" in err


@pytest.fixture
def search(tmp_path):
    """A search of digits as composed with these overrides, nothing trained."""
    with initialize_config_dir(CONF, version_base="1.3"):
        yield lambda *overrides: Search(
            compose("tune", every := ["experiment=digits", f"results={tmp_path}/results", *overrides]), every
        )


def test_an_exploiting_search_is_one_of_a_space_and_a_seed(search):
    found = search("search_seed=1")
    space = found.space.described()
    assert found.exploits(Trial("trial-000", {}, {}, search="exploit", space=space, search_seed=1))
    for other in ({"search_seed": 0}, {"search": "explore"}, {"space": {}}):
        mine = {"search": "exploit", "space": space, "search_seed": 1} | other
        assert not found.exploits(Trial("trial-000", {}, {}, **mine))


def test_the_best_is_of_all_in_the_folder_and_the_first_of_equals(search, tmp_path):
    found = search("study=made", f"results={tmp_path}")
    made_up(tmp_path, [(point, [[90.0], [90.0]]) for point in found.space.explored(2, 0)])
    agenda = Agenda(found)
    assert not agenda.begun and agenda.best.name == best_trial(read_trials(found.folder)).name == "trial-000"


def test_a_key_that_the_command_line_adds_can_be_searched(search):
    space = "+space.model.depth={range:[1,9],scale:linear,role:nuisance}"
    found = search("+model.depth=3", space)
    assert found.composed("trial-000", {"model.depth": 5}).model.depth == 5
    assert found.composed("baseline", {}).model.depth == 3


def test_two_searches_do_not_share_a_folder(tune, tmp_path):
    folder = tmp_path / "results" / "digits-search"
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, err = tune(*QUICK)
    assert code == 1 and "another search trains in this folder now" in err
    assert [path.name for path in folder.iterdir()] == [".lock"]


def start(tmp_path, cache, *arguments):
    fixed = [f"results={tmp_path}/results", f"data.cache={cache}"]
    return subprocess.Popen(
        [sys.executable, "-m", "seedspread", "tune", *QUICK, *arguments, *fixed],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def wait_for(folder: Path, records: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while len(list(folder.glob("*/seeds/*.json"))) < records and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)


def test_a_killed_search_goes_on_and_ends_with_the_same_networks(tmp_path, cache, tune):
    """SIGKILL to the whole process group while it explores and while it exploits."""
    folder = tmp_path / "results" / "digits-search"
    for arguments, records in ((["trials=3", "fresh_seeds=0"], 2), (["search=exploit", "trials=3"], 8)):
        process = start(tmp_path, cache, *arguments)
        wait_for(folder, records, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        kept = {path: path.stat().st_mtime_ns for path in folder.glob("*/seeds/*.json")}
        assert tune(*QUICK, *arguments)[0] == 0
        assert {path: path.stat().st_mtime_ns for path in kept} == kept, "nothing is trained twice"
    killed, points = hashes(folder), [trial.point for trial in read_trials(folder)]
    folder.rename(tmp_path / "killed")
    assert tune(*QUICK, "trials=3", "fresh_seeds=0")[0] == tune(*QUICK, "search=exploit", "trials=3")[0] == 0
    assert [trial.point for trial in read_trials(folder)] == points and hashes(folder) == killed


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_a_search_and_its_workers(tmp_path, cache, sign):
    process = start(tmp_path, cache, "trials=500")
    wait_for(tmp_path / "results" / "digits-search", 2, process)
    process.send_signal(sign)
    _, err = process.communicate(timeout=30)  # returns once no worker holds the pipes
    assert process.returncode == 130 and "the same command goes on from there" in err and "Traceback" not in err


def fault(name, tmp_path, **values):
    settings = {"_target_": f"tests.faults.{name}", **values}
    return [f"+callbacks.fault.{key}={value}" for key, value in settings.items()]


def test_failed_and_dying_seeds_do_not_stop_a_search(tune, tmp_path):
    mended = tmp_path / "mended"
    raising = fault("Raise", tmp_path, seeds="[1]", unless=mended)
    code, out, err = tune(*QUICK, *raising, "fail_fast=9")
    assert (
        code == 1 and "digits-search: 3 seeds failed, the last one trial-002 seed 1: RuntimeError: out of luck" in err
    )
    assert "report in" in out and all(list(t.scores) == [0] for t in read_trials(tmp_path / "results/digits-search"))
    mended.write_text("")
    assert tune(*QUICK, *raising)[0] == 0
    assert all(list(t.scores) == [0, 1] for t in read_trials(tmp_path / "results/digits-search"))


def test_a_worker_that_dies_costs_the_seed_it_was_on(tune, tmp_path):
    dying = fault("Die", tmp_path, seeds="[1]", times=1, count=tmp_path / "deaths")
    assert tune(*QUICK, *dying, "fresh_seeds=0")[0] == 0
    assert all(list(t.scores) == [0, 1] for t in read_trials(tmp_path / "results/digits-search"))
    always = fault("Die", tmp_path, seeds="[0]", times=99, count=tmp_path / "more")
    code, _, err = tune(*QUICK, *always, "fresh_seeds=0", "study=dying", "trials=1")
    assert code == 1 and "its worker died 3 times" in err
    assert list(read_trials(tmp_path / "results/dying-search")[0].scores) == [1]


def test_fail_fast_stops_a_search(tune, tmp_path):
    raising = fault("Raise", tmp_path, seeds="[0,1]", unless=tmp_path / "never")
    code, _, err = tune(*QUICK, *raising, "fail_fast=2", "trials=40")
    assert code == 1 and "digits-search stopped: 2 seeds in a row failed: RuntimeError: out of luck" in err


def test_trials_that_diverge_are_results(tune, tmp_path):
    wild = "space.optimizer.lr.range=[1e12,1e13]"
    code, _, err = tune(*QUICK, wild, "trials=2", "fresh_seeds=0")
    assert code == 1 and "no trial with a finished seed" in err
    assert all(trial.has_diverged for trial in read_trials(tmp_path / "results/digits-search"))


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["trials=two"], "trials=two: a whole number of at least 1"),
        (["seeds_per_trial=0"], "seeds_per_trial=0: a whole number of at least 1"),
        (["fresh_seeds=1"], "fresh_seeds=1: one seed has no spread"),
        (["search=random"], "search=random: choose one of explore, exploit"),
        (["metric=val/loss"], "metric=val/loss: a search chooses by val/acc"),
        (["seed=3"], "seed=: a search says itself"),
        (["~space"], "space=?: the experiment declares none"),
        (["space.optimizer.lr.range=[0,1]"], "space.optimizer.lr.range=[0, 1]: a log scale has no zero"),
        (["space.optimizer.lr.range=[1,0.1]"], "space.optimizer.lr.range=[1, 0.1]: empty"),
        (["+space.optimizer.rate={range:[1,2],scale:log,role:nuisance}"], "the experiment has no optimizer.rate"),
        (["+space.schedule={range:[cosine,square],scale:choice,role:scientific}"], "schedule=square: there is no"),
        (["report=true"], "no trial with a finished seed"),
        (["seeds=[1,2]"], "-m or seeds=: a search trains many seeds"),
        (["space.loss.smoothing.range=[0,3]"], "space.loss.smoothing.range=[0, 3]: loss.smoothing=3"),
        (["+space.model.width={range:[4,-4],scale:choice,role:nuisance}"], "space.model.width.range=[4, -4]: "),
    ],
)  # fmt: skip
def test_bad_input_is_told_before_any_training(tune, tmp_path, arguments, says):
    code, _, err = tune(*QUICK, *arguments)
    assert code == 1 and says in err and len(err.strip().splitlines()) <= 2
    assert not list(tmp_path.glob("results/*/*"))


def test_a_choice_may_be_a_config_group(tune, tmp_path):
    schedules = "+space.schedule={range:[cosine,rise_and_fall],scale:choice,role:scientific}"
    code, _, err = tune(*QUICK, schedules, "~space.loss", "~space.optimizer", "fresh_seeds=0", "seeds_per_trial=1")
    assert code == 0, err
    folder = tmp_path / "results/digits-search"
    targets = {
        t.point["schedule"]: Study.load(folder / t.name).config["schedule"]["_target_"] for t in read_trials(folder)
    }
    assert targets["cosine"].endswith("CosineAnnealingLR") and targets["rise_and_fall"].endswith("LambdaLR")


def test_a_space_is_no_part_of_what_a_study_is(small):
    from seedspread.config.identity import study_identity
    from seedspread.config.resolve import resolve_config

    assert "space" in small() and "space" not in study_identity(resolve_config(small()))


def test_a_trial_is_read_as_it_was_described(tmp_path):
    trial = Trial("trial-007", {"optimizer.lr": 0.0312}, {}, search="exploit", space={})
    trial.describe(tmp_path / trial.name)
    assert Trial.read(tmp_path / trial.name) == trial


def test_the_notebook_runs(tmp_path, cache):
    notebook = nbformat.read(ROOT / "notebooks" / "tuning.ipynb", as_version=4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source += f"""
RESULTS = {str(tmp_path)!r}
SEARCH = ["trials=3", "seeds_per_trial=2", "fresh_seeds=3"]
SMALL = ["experiment=digits", "trainer=cpu", "trainer.max_epochs=1", "model.width=2", "data.cache={cache}"]"""
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()
    said = "".join(o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", []))
    chosen = float(re.search(r"chosen score - truth: ([-+.0-9]+)", said)[1])
    honest, error = map(float, re.search(r"honest score - truth: ([-+.0-9]+) ± ([.0-9]+)", said).groups())
    assert chosen > 0.3 and abs(honest) < 3 * error


def test_a_winner_that_no_seed_tells_from_the_baseline_is_told_of(tune):
    """In a finite space, too, whose points are each a trial."""
    nothing = "+space.data.score_batch_size={range:[500,250],scale:choice,role:scientific}"
    code, out, err = tune(*QUICK, nothing, "~space.loss", "~space.optimizer")
    assert code == 0, err
    assert "trials=3: the space has 2 different points" in out and "near the best" not in out
    assert "Keep the baseline. trial-000-fresh and baseline have the same score on each of 3 seeds" in out
    assert "the winner's curse is" in out and "seedspread.compare" not in out
