"""`seedspread decide` from end to end: training until it is decided, resuming, files of scores, exit codes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seedspread.commands import decide
from seedspread.config.overrides import quote_overrides
from seedspread.records.study import Study
from tests.conftest import ROOT

QUICK = ("trainer.max_epochs=2", "model.width=4", "trainer=cpu")
BASE, CRIPPLED = "experiment=digits", "experiment=digits optimizer.lr=0.0001 study=crippled"


@pytest.fixture
def ran(invoked, tmp_path, cache):
    """Run `seedspread decide ARGUMENTS`; exit code, standard output, standard error."""
    fixed = [f"results={tmp_path}/results"]
    return lambda *arguments: invoked(decide.main, *arguments, *fixed)


@pytest.fixture
def trained(ran, cache):
    return lambda *arguments: ran(*arguments, f"data.cache={cache}", *QUICK)


def seeds_of(results: Path) -> dict[str, int]:
    return {path.parent.name: len(Study.load(path.parent).scan().records) for path in results.glob("*/study.yaml")}


def looks(results: Path) -> pd.DataFrame:
    (path,) = results.glob("*-decision/looks.csv")
    return pd.read_csv(path)


def test_a_crippled_arm_is_worse_and_the_other_way_round_better(trained, tmp_path):
    code, out, err = trained(f"baseline={BASE}", f"candidate={CRIPPLED}", "worth=0.5", "budget=20", "jobs=2")
    assert code == 10 and not err, out + err
    assert "crippled is worse than digits: -" in out and "valid at every look" in out
    results = tmp_path / "results"
    table = looks(results)
    assert list(table["verdict"][:-1].unique()) == ["undecided"] and table["verdict"].iloc[-1] == "worse"
    spent = seeds_of(results)
    assert len(spent) == 2 and all(len(table) + 2 <= count <= len(table) + 4 for count in spent.values())
    assert max(spent.values()) < 20
    page = (results / "crippled-against-digits-decision" / "index.html").read_text()
    assert "is worse than" in page and "At most 5% of such decisions are false" in page
    code, out, _ = trained(f"baseline={CRIPPLED}", f"candidate={BASE}", "budget=20", "jobs=2")
    assert code == 0 and "is better than crippled" in out
    assert f"It rests on {2 * (len(table) + 2)} seeds, " in out
    assert seeds_of(results) == spent, "nothing is trained twice, and nothing that is not needed"


def test_the_same_config_is_equivalent_after_three_seeds(trained, tmp_path):
    same = "experiment=digits loss.smoothing=0.2 study=same"
    code, out, _ = trained(f"baseline={BASE}", f"candidate={same}", "worth=0.5", "budget=20", "jobs=1")
    assert code == 11 and "both have the same config, and each of 3 seeds gives the same scores" in out
    assert max(seeds_of(tmp_path / "results").values()) <= 4


def test_a_decision_that_is_stopped_and_continued_is_the_same_decision(trained, tmp_path):
    other = "experiment=digits loss.smoothing=0 study=sharp"
    whole = [f"baseline={BASE}", f"candidate={other}", "worth=0.001"]
    code, out, _ = trained(*whole, "budget=4", "jobs=2")
    assert code == 12 and "undecided after 4 pairs" in out and "The same command continues" in out
    first = looks(tmp_path / "results")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").glob("*/seeds/*.json")}
    assert trained(*whole, "budget=9", "jobs=1")[0] == 12
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    second = looks(tmp_path / "results")
    pd.testing.assert_frame_equal(second[: len(first)], first)
    (tmp_path / "results").rename(tmp_path / "before")
    assert trained(*whole, "budget=9", "jobs=2")[0] == 12
    pd.testing.assert_frame_equal(looks(tmp_path / "results"), second)


def test_a_seed_that_fails_ends_the_decision_with_its_reason(trained, tmp_path):
    fault = [f"+callbacks.fault.{k}" for k in ("_target_=tests.faults.Raise", "seeds=[1]", f"unless={tmp_path}/mended")]
    code, _, err = trained(f"baseline={BASE}", f"candidate={CRIPPLED}", "budget=9", "jobs=1", *fault)
    assert code == 1 and "seed 1" in err and "needs every seed" in err and "Traceback" not in err
    (tmp_path / "mended").touch()
    assert trained(f"baseline={BASE}", f"candidate={CRIPPLED}", "budget=3", "jobs=1", *fault)[0] == 12


@pytest.fixture
def files(tmp_path):
    """Write a.csv and b.csv of so many rows, b better by `gain`; their arguments."""

    def write(rows, gain=1.0, seeds=True):
        rng = np.random.default_rng(0)
        draws = rng.normal(90, 0.5, (2, 200))
        for name, scores in zip("ab", (draws[0], draws[1] + gain), strict=True):
            table = pd.DataFrame({"seed": np.arange(200), "acc": scores}).iloc[:rows]
            (table if seeds else table[["acc"]]).to_csv(tmp_path / f"{name}.csv", index=False)
        return [f"baseline={tmp_path}/a.csv", f"candidate={tmp_path}/b.csv", "column=acc"]

    return write


@pytest.mark.parametrize("seeds", [True, False])
def test_files_are_decided_on_or_say_how_many_rows_to_bring(ran, files, tmp_path, seeds):
    code, out, _ = ran(*files(5, seeds=seeds), "worth=0.5")
    assert code == 12 and "b against a is undecided after 5 pairs" in out
    assert "more rows of each decide with 80 % power where the true difference is 0 or 0.5" in out
    code, out, _ = ran(*files(60, seeds=seeds), "worth=0.5")
    assert code == 0 and "b is better than a: +" in out and "With all 60 pairs the difference is" in out
    pairs = pd.read_csv(tmp_path / "results/b-against-a-decision/pairs.csv", comment="#")
    assert len(pairs) == 60
    code, _, err = ran(*files(40, seeds=seeds), "worth=0.5")
    assert code == 1 and "is gone" in err and "only add rows" in err
    table = looks(tmp_path / "results")
    apart = (pairs["candidate"] - pairs["baseline"]).to_numpy()
    assert table["difference"].iloc[-1] == pytest.approx(apart.mean())


def test_each_of_several_candidates_has_its_share_of_the_errors(ran, files, tmp_path):
    one, _, column = files(60)
    pd.read_csv(tmp_path / "a.csv").assign(acc=lambda table: table["acc"] - 3).to_csv(tmp_path / "c.csv", index=False)
    code, out, _ = ran(one, f"candidate=[{tmp_path}/b.csv,{tmp_path}/c.csv]", column)
    assert code == 0 and "b is better than a" in out
    folder = tmp_path / "results" / "b+c-against-a-decision"
    assert "0.025 for each of 2 candidates" in (folder / "decide.md").read_text()
    assert {path.name for path in folder.glob("pairs*")} == {"pairs-b.csv", "pairs-c.csv"}
    found = pd.read_csv(folder / "looks.csv").groupby("candidate")["verdict"].last()
    assert found["b"] == "better"


def test_several_tasks_are_one_decision(ran, files, tmp_path):
    _, _, column = files(60)
    for name in "ab":
        table = pd.read_csv(tmp_path / f"{name}.csv")
        table.assign(acc=table["acc"] / 1000).to_csv(tmp_path / f"{name}2.csv", index=False)
    arms = f"baseline=[{tmp_path}/a.csv,{tmp_path}/a2.csv]", f"candidate=[{tmp_path}/b.csv,{tmp_path}/b2.csv]"
    code, out, _ = ran(*arms, column, "worth=[0.5,0.0005]")
    assert code == 0 and "mean over tasks, +" in out and "times worth" in out
    assert out.count("better, p = 0.0") == 2 and "b2 against a2 after" in out


def test_files_of_smaller_is_better(ran, files):
    assert ran(*files(60), "direction=minimize")[0] == 10
    code, _, err = ran(*files(60))
    assert code == 1 and "looked at before with column=acc direction=minimize" in err


def test_rows_without_a_partner_are_named(ran, files, tmp_path):
    arms = files(30)
    table = pd.read_csv(tmp_path / "b.csv")
    table.assign(seed=table["seed"] + 20).to_csv(tmp_path / "b.csv", index=False)
    code, out, _ = ran(*arms)
    assert code in (0, 12) and "20 rows of a and 20 rows of b have no partner yet" in out
    table.assign(seed=table["seed"] + 100).to_csv(tmp_path / "c.csv", index=False)
    code, _, err = ran(arms[0], f"candidate={tmp_path}/c.csv", arms[2])
    assert code == 1 and "a and c have no pair" in err
    code, _, err = ran(*files(30), "budget=9")
    assert code == 1 and "budget=9: files are decided on as they are" in err


def test_the_exit_codes_in_a_script(files, tmp_path):
    """What a shell does with them, without torch."""
    script = tmp_path / "adopt.sh"
    script.write_text(
        f'{sys.executable} -X importtime -m seedspread decide "$@" 2> imports\n'
        "case $? in 0) echo adopt;; 10|11) echo keep;; 12) echo more;; *) echo broken;; esac\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}/src"}
    said = []
    for rows, gain in ((5, 1.0), (60, 1.0), (60, 0.0)):
        here = tmp_path / f"{rows}-{gain}"
        here.mkdir()
        arguments = [*files(rows, gain), "worth=0.6", f"results={here}"]
        found = subprocess.run(["sh", str(script), *arguments], cwd=here, env=environment, capture_output=True)
        said.append(found.stdout.decode().split()[-1])
        assert "torch" not in {line.split("|")[-1].strip() for line in (here / "imports").read_text().splitlines()}
    assert said == ["more", "adopt", "keep"]


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["baseline=digits"], "candidate=?: name a study"),
        (["baseline=digits", "candidate="], "candidate=?: name a study"),
        (["baseline=digits", "candidate=nothing"], "candidate=nothing: neither a study"),
        (["baseline=digits", "candidate=digits"], "candidate=digits: it is named twice"),
        (["baseline=digits", "candidate=b.csv"], "a file of scores cannot be trained further"),
        (["baseline=[digits,cifar_quick]", "candidate=[a,b,c]"], "2 tasks, and 3 candidates"),
        (["baseline=digits", "candidate=experiment=digits loss.smoothin=0"], "did you mean loss.smoothing?"),
        (["baseline=digits", "candidate=cifar_quick", "seed=3"], "seed=3: not for all arms"),
        (["baseline=digits", "candidate=experiment=digits seed=3"], "seed=3 is not for one arm"),
        (["baseline=digits", "candidate=experiment=digits study=digits"], "two arms have this study"),
        (["baseline=digits", "candidate=cifar_quick", "worth=0"], "worth=0: the smallest difference that matters"),
        (["baseline=[digits,a]", "candidate=[b,c]", "worth=[1,-1]"], "worth=[1, -1]: the smallest difference"),
        (["baseline=digits", "candidate=cifar_quick", "budget=2"], "budget=2: a whole number of at least 3"),
    ],
)
def test_bad_input_is_refused_before_any_training(ran, tmp_path, arguments, says):
    code, _, err = ran(*arguments)
    assert code == 1 and says in err and len(err.splitlines()) <= 2, err
    assert not list(tmp_path.glob("results/*"))


def test_functions_and_programs_are_not_trained(ran, make_study):
    for kind in ("function", "command"):
        make_study([0.8, 0.81], kind, {kind: "mine"})
        code, _, err = ran(f"baseline={kind}", "candidate=experiment=digits loss.smoothing=0")
        assert code == 1 and f"its seeds are of a {kind}, which this does not run; compare what there is" in err


@pytest.mark.parametrize(
    "typed, meant",
    [
        ("candidate=experiment=digits loss.smoothing=0", "candidate='experiment=digits loss.smoothing=0'"),
        ("candidate=[a,experiment=x y=[1,2]]", "candidate=[a,'experiment=x y=[1,2]']"),
        ("candidate='experiment=x y=2'", "candidate='experiment=x y=2'"),
        ("baseline={mean: 1, n: 2}", "baseline={mean: 1, n: 2}"),
        ("optimizer.lr=1", "optimizer.lr=1"),
    ],
)
def test_overrides_as_a_value_are_quoted_for_hydra(typed, meant):
    assert quote_overrides([typed], ["baseline", "candidate"]) == [meant]


@pytest.mark.slow
def test_a_decision_that_is_killed_ends_with_the_same_verdict(start, trained, tmp_path, cache):
    fixed = [f"results={tmp_path}/results", f"data.cache={cache}", *QUICK]
    arms = [f"baseline={BASE}", f"candidate={CRIPPLED}", "budget=20", "jobs=2"]
    for records in (2, 9, 15):
        process = start("seedspread", "decide", *arms, *fixed, own_workers=True)
        deadline = time.monotonic() + 120
        while len(list(tmp_path.glob("results/*/seeds/*.json"))) < records and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("results/*/seeds/*.json")}
    assert trained(*arms)[0] == 10
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    killed = looks(tmp_path / "results")
    (tmp_path / "results").rename(tmp_path / "killed")
    assert trained(*arms)[0] == 10
    pd.testing.assert_frame_equal(looks(tmp_path / "results"), killed)
