import os
import subprocess
import sys

import pytest
from seedspread.records.claims import claim_seed, request_stop, start_sweep

from seedspread.commands.status import main
from seedspread.records.study import Study
from seedspread.report.status import describe_status
from tests.synthetic import make_record


@pytest.fixture
def study(tmp_path):
    """Four seeds finished within the last minute, one failed, one diverged; ten were asked for."""
    study = Study.open(tmp_path / "results" / "digits", {"width": 8})
    start_sweep(study.folder, "0-9")
    for seed, status in enumerate(["finished"] * 4 + ["failed", "diverged"]):
        final = {**make_record(study, seed).final, "val/acc": 0.95 + seed / 100}
        study.write(make_record(study, seed, status=status, **({} if status == "failed" else {"final": final})))
    return study


def test_done_asked_scores_and_what_went_wrong(study):
    told = describe_status(study)
    assert told.splitlines()[0] == "digits: 5/10 done"
    assert "96.50 ± 1.29 %   min 95.00 (seed 0)   max 98.00 (seed 3)   1 diverged   1 failed" in told


def test_running_and_interrupted_seeds(study):
    with claim_seed(study.folder, 6):
        assert "1 running (seed 6), " in describe_status(study) + ", " and "seeds/h" in describe_status(study)
    child = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    with claim_seed(study.folder, 7):
        claim = study.folder / "running" / "000007.json"
        claim.write_text(claim.read_text().replace(str(os.getpid()), child.stdout.strip()))
        assert "1 interrupted (seed 7)" in describe_status(study) and "running" not in describe_status(study)


def test_a_stop_and_damage_are_told(study):
    request_stop(study.folder, "5 seeds in a row failed: out of luck")
    study.record_path(9).write_text("")
    told = describe_status(study)
    assert "stopped: 5 seeds in a row failed" in told and "not counted: 000009.json: empty, torn" in told


def test_the_command_lists_all_studies_or_those_named(study, invoked, tmp_path):
    Study.open(tmp_path / "results" / "other", {"width": 9})

    def ask(*arguments):
        return invoked(main, f"results={tmp_path}/results", *arguments)

    assert [line.split(":")[0] for line in ask()[1].splitlines() if line[0] != " "] == ["digits", "other"]
    assert "digits" not in ask("study=other")[1]
    assert "digits" in ask("study=[digits,other]")[1]
    (tmp_path / "results" / "digits" / "study.yaml").write_text("[")
    code, out, err = ask()
    assert code == 1 and "other" in out and "study.yaml is damaged" in err
    search = tmp_path / "results" / "digits-search"
    (search / "trial-000").mkdir(parents=True)
    for name in ("search.yaml", "trial-000/trial.json"):
        (search / name).touch()
    assert f"digits-search: 1 trial, each a study: seedspread status results={search}" in ask()[1]
    code, _, err = ask("study=nowhere")
    assert code == 1 and "no study in" in err and "Traceback" not in err
