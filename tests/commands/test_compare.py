"""`seedspread compare` on studies and on files of scores."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from seedspread.commands.compare import main as compare_main
from seedspread.decide.score_files import read_arm
from seedspread.records.scores import Scores
from seedspread.records.study import Study
from tests.conftest import ROOT
from tests.synthetic import CONFIG, add_seed

RNG = np.random.default_rng(3)
A, B = RNG.normal(90, 0.2, 24), RNG.normal(90.1, 0.3, 17)


@pytest.fixture
def compared(invoked, tmp_path):
    return lambda *arguments: invoked(compare_main, f"results={tmp_path}/results", *arguments)


@pytest.mark.draws
def test_two_studies_are_compared(compared, two, tmp_path):
    code, out, err = compared("baseline=slow", "candidate=fast")
    assert code == 0, err
    assert out.startswith("fast is better than slow: +") and "paired t-test, 20 pairs of seeds, p < 0.001" in out
    for told in (
        "P(fast > slow) over pairs", "ε_min", "Hedges' g", "Brown-Forsythe", "Paired over seeds: both ran the same 20",
        "Paired over test examples: both were scored on the same 203", "Scores of the same seed correlate",
        "optimizer.lr 0.1 / 0.2", "environment: packages.torch 2.14.1 / 2.13.0",
    ):  # fmt: skip
        assert told in out
    folder = tmp_path / "results" / "fast-against-slow"
    assert {path.name for path in folder.iterdir()} == {
        "index.html",
        *(f"compare.{kind}" for kind in ("md", "csv", "png", "svg")),
    }
    row = pd.read_csv(folder / "compare.csv").iloc[0]
    scores = {
        name: np.array([json.loads(p.read_text())["final"]["val/acc"] for p in sorted(seeds.iterdir())])
        for name in ("slow", "fast")
        if (seeds := tmp_path / "results" / name / "seeds")
    }
    assert row["difference"] == pytest.approx(100 * (scores["fast"].mean() - scores["slow"].mean()))
    assert row["p"] == pytest.approx(stats.ttest_rel(scores["fast"], scores["slow"]).pvalue)
    assert row["p_welch"] == pytest.approx(stats.ttest_ind(scores["fast"], scores["slow"], equal_var=False).pvalue)
    page = (folder / "compare.md").read_text()
    assert "**fast is better than slow" in page and "| optimizer.lr | 0.1 | 0.2 |" in page
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    compared("baseline=slow", "candidate=fast")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_several_candidates_and_other_test_sets(compared, two, made):
    made("other", np.random.default_rng(1).normal(0.8, 0.02, 12), data="d2")
    code, out, err = compared("baseline=slow", "candidate=[fast,other]")
    assert code == 0, err
    assert "by Holm for 2 candidates" in out.splitlines()[0] and "other" in out.splitlines()[1]
    assert "Unpaired over test examples: the records do not show" in out
    assert "Paired over test examples" in compared("baseline=slow", "candidate=other", "same_examples=true")[1]


def test_files_of_scores_are_compared(compared, tmp_path):
    pd.DataFrame({"seed": range(17), "acc": A[:17] / 100}).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame({"seed": range(17), "acc": B / 100}).to_csv(tmp_path / "b.csv", index=False)
    files = f"baseline={tmp_path}/a.csv", f"candidate={tmp_path}/b.csv"
    code, out, err = compared(*files, "column=acc")
    assert code == 0, err
    assert "paired t-test, 17 pairs" in out.splitlines()[0] and "files of scores hold no predictions" in out
    row = pd.read_csv(tmp_path / "results" / "b-against-a" / "compare.csv").iloc[0]
    assert row["difference"] == pytest.approx((B.mean() - A[:17].mean()) / 100)  # as given, not scaled
    assert "Welch's t-test" in compared(*files, "column=acc", "seed_column=null")[1].splitlines()[0]


def test_seeds_may_be_names_and_of_another_kind_than_the_others(compared, tmp_path, two):
    for name, seeds in (("a", "xyz"), ("b", "zxy"), ("c", "102")):
        rows = [f"{seed}, {91 + i * i / 10 + len(name) * ord(seeds[0]) / 999}" for i, seed in enumerate(seeds)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["seed, acc", *rows]))
    a, b, c = (f"{tmp_path}/{name}.csv" for name in "abc")
    assert "paired t-test, 3 pairs" in compared(f"baseline={a}", f"candidate={b}", "column=acc")[1].splitlines()[0]
    assert "0 seeds are in both, of 3 and 3" in compared(f"baseline={a}", f"candidate={c}", "column=acc")[1]
    assert "3 seeds are in both, of 20 and 3" in compared("baseline=slow", f"candidate={c}", "column=acc")[1]


@pytest.mark.parametrize(
    "rows",
    [
        "seed;acc\n0;0,91\n1;0,93\n2;0,92\n",
        "seed;acc\n0;0.91\n1;0.93\n2;0.92\n",
        "seed\tacc\n0\t0.91\n1\t0.93\n2\t0.92\n",
    ],
)
def test_semicolons_tabs_and_decimal_commas_are_read(tmp_path, rows):
    (tmp_path / "a.csv").write_text(rows)
    arm = read_arm(tmp_path / "a.csv", "acc", "seed")
    assert arm.scores.tolist() == [0.91, 0.93, 0.92] and arm.seeds.tolist() == [0, 1, 2]


def test_an_open_verdict_names_the_command_that_decides(compared, made, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("one", "other"):
        made(name, rng.normal(0.8, 0.015, 20))
        pd.DataFrame({"acc": rng.normal(size=20)}).to_csv(tmp_path / f"{name}.csv", index=False)
    out = compared("baseline=one", "candidate=other")[1].splitlines()[0]
    command = f"`seedspread decide baseline=one candidate=other results={tmp_path}/results`"
    assert "No difference shown" in out and f"{command} trains more until it is decided" in out
    out = compared("baseline=one", "candidate=other", "worth=0.4")[1].splitlines()[0]
    assert "candidate=other worth=0.4 results" in out and "decide between a difference of 0 and one of 0.4" in out
    made("called", rng.normal(0.8, 0.015, 20), function={"name": "train"})  # which no command trains
    out = compared("baseline=one", "candidate=called")[1]
    assert "(power 80 %)" in out and "seedspread decide" not in out and "Settings that differ: not known" in out
    files = f"baseline={tmp_path}/one.csv", f"candidate={tmp_path}/other.csv", "column=acc"
    out = compared(*files)[1].splitlines()[0]
    assert f"`seedspread decide {' '.join(files)} results=" in out and "with each score that is added" in out


def test_bad_input_is_one_or_two_lines_with_the_fix(compared, two, made, tmp_path):
    (tmp_path / "a.csv").write_text("seed,acc\n0,0.9\n1,0.91\n2,0.92\n")
    (tmp_path / "hole.csv").write_text("seed,acc\n0,0.9\n1,\n2,0.92\n")
    (tmp_path / "twice.csv").write_text("seed,acc\n0,0.9\n0,0.91\n")
    (tmp_path / "one.csv").write_text("acc\n0.9\n")
    (tmp_path / "several.csv").write_text("seed,acc,f1\n0,0.9,0.8\n1,0.91,0.8\n")
    (tmp_path / "equal.csv").write_text("acc,seed,acc\n0.9,0,1\n0.8,1,2\n")
    (tmp_path / "huge.csv").write_text("seed,acc\n0,1e308\n1,0.91\n2,-1e308\n")
    (tmp_path / "head.csv").write_text("acc\n")
    (tmp_path / "empty.csv").write_text("")
    a, made_empty = f"{tmp_path}/a.csv", Study.open(tmp_path / "results" / "empty", CONFIG)
    add_seed(made_empty, 0, 0.1, status="failed")
    made("clash-against-slow", [0.8, 0.9])
    made("clash", [0.8, 0.9])
    made("alone", [0.8])
    for arguments, why in (
        ((), "baseline=?: name a study"),
        (("baseline=slow",), "candidate=?"),
        (("baseline=slow", "candidate="), "candidate=?"),
        (("baseline=slow", "candidate=a/b"), "candidate=a/b: a study is the name of one folder"),
        (("baseline=slow", "candidate=fast", f"results={a}"), f"results={a}: it is a file, not a folder"),
        (("baseline=slow", "candidate=nope"), "candidate=nope: no such study"),
        (("baseline=slow", "candidate=slow"), "candidate=slow: it is named twice"),
        (("baseline=slow", "candidate=empty"), "no finished seed to report on"),
        (("baseline=slow", "candidate=alone"), "alone has 1 score: a comparison needs at least 2 seeds"),
        (("baseline=slow", "candidate=clash"), "is a study itself"),
        (("baseline=slow", "candidate=fast", "pair=yes please"), "pair=yes please: true or false"),
        (("baseline=slow", "candidate=fast", "worth=-1"), "worth=-1: the smallest difference that matters"),
        (("baseline=[slow,fast]", "candidate=fast"), "one baseline"),
        ((f"baseline={a}", f"candidate={tmp_path}/b.csv", "column=acc"), "b.csv: no such file"),
        ((f"baseline={a}", f"candidate={a}", "column=acc"), "named twice"),
        ((f"baseline={a}", f"candidate={tmp_path}/hole.csv", "column=acc"), "acc is nan in row 2"),
        ((f"baseline={a}", f"candidate={tmp_path}/twice.csv", "column=acc"), "seed is 0 in two rows"),
        ((f"baseline={a}", f"candidate={tmp_path}/one.csv", "column=acc"), "one has 1 score"),
        ((f"baseline={a}", f"candidate={tmp_path}/head.csv", "column=acc"), "head has no score"),
        ((f"baseline={a}", f"candidate={tmp_path}/empty.csv", "column=acc"), "empty.csv: not a CSV file"),
        ((f"baseline={a}", f"candidate={tmp_path}/equal.csv", "column=acc"), "equal.csv: 2 columns are named acc"),
        ((f"baseline={a}", f"candidate={tmp_path}/huge.csv", "column=acc"), "huge: a score of 1e+308 is too large"),
        ((f"baseline={a}", f"candidate={tmp_path}/several.csv"), "column=?: name the column of scores in"),
        ((f"baseline={a}", f"candidate={tmp_path}/one.csv", "column=f1"), "a.csv has no such column; it has seed, acc"),
        ((f"baseline={a}", "candidate=fast", "column=acc"), "a has scores from 0 to 1, fast has percent"),
        ((f"baseline={a}", "candidate=fast", "column=acc", "same_examples=true"), "multiply the former by 100"),
    ):
        code, out, err = compared(*arguments)
        assert code == 1 and out == "" and len(err.strip().splitlines()) <= 2, (arguments, err)
        assert why in err, (arguments, err)


def test_the_only_column_beside_the_seeds_needs_no_name(compared, tmp_path):
    (tmp_path / "a.csv").write_text("seed,acc\n0,0.9\n1,0.91\n2,0.93\n")
    (tmp_path / "b.csv").write_text("acc,seed\n0.91,1\n0.94,2\n0.9,0\n")
    files = f"baseline={tmp_path}/a.csv", f"candidate={tmp_path}/b.csv"
    code, named, _ = compared(*files, "column=acc")
    assert (code, named.replace(" column=acc", "")) == compared(*files)[:2]


def test_different_numbers_of_test_examples_cannot_be_the_same(compared, two, tmp_path):
    study = Study.open(tmp_path / "results" / "larger", CONFIG)
    for seed in range(5):
        add_seed(study, seed, 0.8 + 0.01 * seed, test_examples=400)
    assert "the test sets differ (203 and 400 examples)" in compared("baseline=slow", "candidate=larger")[1]
    code, _, err = compared("baseline=slow", "candidate=larger", "same_examples=true")
    assert code == 1 and "slow was scored on 203 test examples, larger on 400" in err


def test_diverged_seeds_missing_predictions_and_outliers_are_reported(compared, two):
    add_seed(two, 20, 0.1, status="diverged")
    add_seed(two, 21, 20 / 203)
    for path in (two.folder / "examples").iterdir():
        path.unlink()
    out = compared("baseline=slow", "candidate=fast")[1]
    assert (
        "fast: 1 seed diverged (a loss or score not finite), excluded from all numbers: seed 20: out of luck (1)."
        in out
    )
    assert "fast: The predictions of 21 of 21 seeds are missing" in out in out
    assert "predictions on single examples are missing" in out and "20 seeds are in both, of 20 and 22" in out
    first = out.splitlines()[0]
    assert first.startswith("Among the seeds that did not collapse, fast is better than slow: +")
    assert first.endswith("2 of 22 seeds of fast collapsed (9.1 %, 95 % 1.1 to 29.2 %), none of slow.")


def test_a_seed_that_diverged_in_one_study_leaves_the_others_paired(compared, two):
    for name in ("slow", "fast"):
        add_seed(Study.load(two.folder.parent / name), 20, 0.82, status="finished" if name == "slow" else "diverged")
    out = compared("baseline=slow", "candidate=fast")[1]
    assert "paired t-test, 20 pairs" in out and "both ran the same 21 seeds; 20 collapsed in neither" in out
    assert "1 of 21 seeds of fast collapsed (4.8 %" in out.splitlines()[0]


def test_neither_torch_nor_lightning_is_imported():
    script = (
        "import sys, seedspread.commands.compare, seedspread.commands.power; "
        "print(sorted({'torch', 'lightning'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True).stdout == "[]\n"


def test_files_of_scores_are_compared_in_the_direction_that_is_given(compared, tmp_path):
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    pd.DataFrame({"loss": A}).to_csv(one, index=False)
    pd.DataFrame({"loss": A - 5}).to_csv(other, index=False)
    arguments = (f"baseline={one}", f"candidate={other}", "column=loss")
    assert compared(*arguments)[1].startswith("other is worse than one: -5.0")
    out = compared(*arguments, "direction=minimize")[1]
    assert out.startswith("other is better than one: -5.0") and "smaller is better" in out


def test_studies_are_compared_by_another_metric(compared, two):
    code, out, err = compared("baseline=slow", "candidate=fast", "metric=val/loss")
    assert code == 0, err
    assert out.startswith("fast is better than slow: val/loss -0.0") and "P(fast < slow)" in out
    assert "points" not in out and "test examples" not in out
    out = compared("baseline=slow", "candidate=fast", "metric=val/loss", "direction=maximize")[1]
    assert out.startswith("fast is worse than slow: val/loss -0.0")


def test_directions_and_metrics_that_do_not_fit_are_refused(compared, two, tmp_path):
    code, _, err = compared("baseline=slow", "candidate=fast", "direction=minimize")
    assert code == 1 and "direction=minimize: slow is scored by val/acc (%, larger is better)" in err
    code, _, err = compared("baseline=slow", "candidate=fast", "metric=val/f1")
    assert code == 1 and "has no final val/f1; it has train/acc" in err
    code, _, err = compared("baseline=slow", "candidate=fast", "metric=val/loss", "same_examples=true")
    assert code == 1 and "val/loss of slow is not recorded with right and wrong answers" in err


def test_a_study_is_compared_with_a_published_result(compared, two, tmp_path):
    published = "baseline={mean: 80.5, std: 1.6, n: 400}"
    code, out, err = compared(published, "candidate=fast")
    assert code == 0, err
    assert out.startswith("fast is better than the published 80.5 ± 1.6 %: +") and "Whether published runs" in out
    folder = tmp_path / "results" / "fast-against-published-80.5"
    assert {path.name for path in folder.iterdir()} == {
        "index.html",
        *(f"compare.{kind}" for kind in ("md", "csv", "png", "svg")),
    }
    scores = Scores.of(two).final
    row = pd.read_csv(folder / "compare.csv").iloc[0]
    known = scores.mean(), scores.std(ddof=1), len(scores), 80.5, 1.6, 400
    assert row["p"] == pytest.approx(stats.ttest_ind_from_stats(*known, equal_var=False).pvalue)
    assert (row["verdict"], row["published_n"], row["candidate_seeds"]) == ("better", 400, 20)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    compared(published, "candidate=fast")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    add_seed(two, 20, 0.1, status="diverged")
    out = compared(published, "candidate=fast")[1]
    assert out.startswith("Among the seeds that did not collapse, fast is better than the published")
    assert "1 of 21 seeds of fast collapsed" in out.splitlines()[0]


def test_candidates_are_compared_with_a_target(compared, two, tmp_path):
    code, out, err = compared("target=82.0", "candidate=[fast,slow]")
    assert code == 0, err
    one, other = out.splitlines()[:2]
    assert one.startswith("fast reaches 82 %: mean 84.") and other.startswith("slow does not reach 82 %: mean 79.")
    table = pd.read_csv(tmp_path / "results" / "fast+slow-against-target-82" / "compare.csv")
    scores = [Scores.of(Study.load(tmp_path / "results" / name)).final for name in ("fast", "slow")]
    expected = [stats.ttest_1samp(final, 82, alternative="greater").pvalue for final in scores]
    assert table["p_reaches"].tolist() == pytest.approx(expected)
    assert table["verdict"].tolist() == ["reaches", "does not reach"]
    out = compared("target=2", "candidate=slow", "metric=val/loss")[1]
    assert out.startswith("slow reaches val/loss 2: mean 1.") and "smaller is better" in out.splitlines()[0]
    pd.DataFrame({"acc": A}).to_csv(tmp_path / "a.csv", index=False)
    assert compared("target=89", f"candidate={tmp_path}/a.csv", "column=acc")[1].startswith("a reaches 89: mean 89.9")


@pytest.mark.parametrize(
    "baseline, why",
    [
        (
            "{mean: 90, std: 0.2, n: 5}",
            "baseline.ddof=?: std of 5 runs: divided by n (ddof: 0, NumPy's default) or n-1",
        ),
        ("{mean: 90, std: 0.2, n: 1}", "baseline.n=1: how many runs, a whole number of at least 2"),
        ("{mean: 90, std: 0.2, n: 20.5}", "baseline.n=20.5: how many runs"),
        ("{mean: 90, std: 0, n: 500}", "baseline.std=0: the published std over seeds, a positive number"),
        ("{mean: 90, std: 0.2, n: 5, ddof: 2}", "baseline.ddof=2: 0 where the std divides by n"),
        ("{mean: ninety, std: 0.2, n: 500}", "baseline.mean=ninety: the published mean, a number"),
        ("{mean: 90, n: 500}", "baseline.std=?: a published result has mean, std and n"),
        ("{}", "baseline.mean=?: a published result has"),
        ("{meen: 90, std: 0.2, n: 500}", "baseline.meen=90: nothing takes this key; did you mean baseline.mean?"),
        ("{mean: 0.9, std: 0.2, n: 500}", "the published result has scores from 0 to 1, fast has percent"),
        ("{mean: 120, std: 0.2, n: 500}", "the published result: val/acc is not between 0 and 1; correct 120"),
    ],
)
def test_a_published_result_that_cannot_be_is_refused(compared, two, baseline, why):
    code, out, err = compared(f"baseline={baseline}", "candidate=fast")
    assert code == 1 and out == "" and len(err.strip().splitlines()) <= 2
    assert why in err


def test_what_does_not_go_with_a_published_result_or_a_target_is_refused(compared, two):
    published = "baseline={mean: 80.5, std: 1.6, n: 400}"
    for arguments, why in (
        (("target=82", "baseline=slow"), "target=82: candidates are compared with it or with baseline=; leave one out"),
        (("target=82", published), "leave one out"),
        (("target=82", "worth=0.2"), "worth=0.2: a target has no margin"),
        (("target=82", "pair=true"), "pair=true: a target has no seeds"),
        ((published, "pair=false"), "pair=false: a published result has no seeds"),
        ((published, "same_examples=true"), "same_examples=true: a published result has no seeds and no predictions"),
        (("target=0.82",), "target=0.82 has scores from 0 to 1, fast has percent"),
        (("target=high",), "target=high: a number"),
        (("target=82", "candidate=[fast,fast]"), "candidate=fast: it is named twice"),
        (("target=82", "candidate=null"), "candidate=?: name a study"),
    ):
        named = [] if any(argument.startswith("candidate") for argument in arguments) else ["candidate=fast"]
        code, out, err = compared(*arguments, *named)
        assert code == 1 and out == "" and len(err.strip().splitlines()) <= 2, (arguments, err)
        assert why in err, (arguments, err)
