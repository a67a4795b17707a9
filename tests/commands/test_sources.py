"""`seedspread sources`: one source of randomness varied at a time, and its variance."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np

from seedspread.commands import console, sources
from seedspread.commands.sources import plan_sweeps
from seedspread.report.document import parts_to_markdown
from seedspread.report.sources import ALL, NOTHING, Source, sources_sentence, sources_table
from seedspread.statistics import Interval, std_interval


def test_the_design_varies_one_source_at_a_time():
    design = plan_sweeps("digits", 5, ["init", "other"])
    assert design["order alone"] == ("digits-order", ["study=digits", "seed=0", "streams.order=range(0,5)"])
    assert design[ALL] == ("digits", ["study=digits", "seed=range(0,5)"])
    name, off = design[NOTHING]
    assert name == "digits-nothing" and "trainer.deterministic=false" in off
    assert {"streams.init=0", "streams.other=0"} < set(off)


def test_variances_by_source_are_those_of_the_scores():
    scores = np.random.default_rng(0).normal(95, 1, (2, 30))
    sources = [
        Source(varied, "s", 30, row.mean(), row.std(ddof=1), std_interval(row))
        for varied, row in zip(("init alone", ALL), scores, strict=True)
    ]
    share = scores[0].var(ddof=1) / scores[1].var(ddof=1)
    low, high = sources[0].variance_interval
    row = f"| {scores[0].var(ddof=1):.3f} ({low:.2f} to {high:.2f}) | {100 * share:.0f} % |"
    assert row in parts_to_markdown(sources_table(sources))
    assert "is unknown: these runs are too few" in sources_sentence(sources)
    assert sources[0].variance_interval == Interval(*(side**2 for side in std_interval(scores[0])))


def test_the_whole_design_runs_and_resumes(invoked, start, tmp_path, cache, monkeypatch):
    def run(command, cwd, env):
        """As subprocess.run, without importing torch five times."""
        assert command[:3] == [sys.executable, "-m", "seedspread"]
        sweep = start(*command[2:], cwd=cwd, env=env)
        _, err = sweep.communicate(timeout=300)
        return subprocess.CompletedProcess(command, sweep.returncode, "", err)

    monkeypatch.setattr(subprocess, "run", run)
    fixed = [f"results={tmp_path}/results", f"data.cache={cache}", "trainer=cpu", "jobs=1", "report=false"]
    design = ["experiment=digits", "trainer.max_epochs=1", *fixed]
    code, out, err = invoked(sources.main, *design, "n=2")
    assert code == 0, err
    folder = tmp_path / "results" / "digits-sources"
    assert {path.name for path in folder.iterdir()} == {
        "index.html",
        *(f"sources.{kind}" for kind in ("md", "csv", "png", "svg")),
    }
    assert out.count("| nothing, determinism off | 2 |") == 1
    for given in ("seed=3", "++seed=3", "++streams.init=1"):
        code, _, err = invoked(sources.main, *design, given)
        assert code == 1 and f"{given}: the design sets seeds and streams" in err


def test_the_sweeps_of_a_design_print_no_tracebacks(monkeypatch):
    """run_command sets HYDRA_FULL_ERROR=1 for Hydra in its own process; the sweeps that it starts do not inherit it."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    started = []
    done = subprocess.CompletedProcess([], 0)
    monkeypatch.setattr(subprocess, "run", lambda command, cwd, env: started.append(env) or done)
    monkeypatch.setattr(sources.HydraConfig, "get", lambda: SimpleNamespace(runtime=SimpleNamespace(cwd=".")))
    for asked in (False, True):
        monkeypatch.setattr(console, "_SHOW_TRACEBACK", asked)
        sources.run_sweeps({"init alone": ("study", ["streams.init=range(0,2)"])}, [])
    assert "HYDRA_FULL_ERROR" not in started[0] and "PATH" in started[0]
    assert started[1]["HYDRA_FULL_ERROR"] == "1"
