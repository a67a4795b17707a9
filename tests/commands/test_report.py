"""`seedspread report`, and the report at the end of a sweep."""

import os
import subprocess
import sys

from seedspread.commands.agree import main as agree_main
from seedspread.commands.compare import main as compare_main
from seedspread.commands.export import main as export_main
from seedspread.commands.luck import main as luck_main
from seedspread.commands.report import main
from seedspread.records.scores import Scores
from seedspread.records.study import STUDIES_IN_A_MESSAGE, Study
from tests.conftest import ROOT
from tests.synthetic import add_seed


def test_neither_torch_nor_lightning_is_imported(study):
    script = "import sys, seedspread.report; print(sorted({'torch', 'lightning'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True).stdout == "[]\n"


def test_the_command_says_where_the_report_is_or_what_to_type(study, invoked, tmp_path):
    results = f"results={tmp_path}/results"
    code, out, _ = invoked(main, "study=dots", results)
    assert code == 0 and "dots/report/index.html" in out and "tensorboard --logdir" in out
    for arguments, says in (
        ([], "has dots"),
        (["study=nowhere"], "no study in"),
        (["study=../dots"], "a study is the name of one folder"),
        (["study=dots", "stduy=x"], "Could not override 'stduy'"),
    ):
        code, _, err = invoked(main, *arguments, results)
        assert code == 1 and says in err and len(err.strip().splitlines()) <= 2


def test_the_command_names_the_seeds_that_do_not_count(study, invoked, tmp_path):
    study.record_path(3).write_text("")
    add_seed(study, 99, 0.5, status="failed")
    code, out, _ = invoked(main, "study=dots", f"results={tmp_path}/results")
    assert code == 0 and "over 23 seeds" in out and "  Not counted: seeds/000003.json: " in out
    assert "  1 seed failed (an exception was raised), excluded from all numbers: seed 99: " in out


def test_an_error_that_asks_for_a_study_names_the_latest_few(invoked, tmp_path):
    results = tmp_path / "results"
    for day in range(STUDIES_IN_A_MESSAGE + 3):
        folder = Study.open(results / f"study-{day}", {"width": day}).folder
        for place in (folder, folder / "seeds"):
            os.utime(place, (86400 * day,) * 2)
    latest = ", ".join(f"study-{day}" for day in reversed(range(3, STUDIES_IN_A_MESSAGE + 3)))
    named = [(entry, []) for entry in (main, agree_main, luck_main, export_main)]
    for entry, arguments in (*named, (compare_main, ["baseline=study-0"])):
        code, _, err = invoked(entry, f"results={results}", *arguments)
        assert code == 1 and f"has {latest} and 3 more" in err and len(err.strip().splitlines()) == 1


def test_a_report_that_fails_does_not_end_a_sweep(command, tmp_path, monkeypatch):
    monkeypatch.setattr("seedspread.report.study_page.write_report", lambda study: 1 / 0)
    quick = ("-m", "seed=0", "jobs=1", "experiment=digits", "trainer.max_epochs=1", "report=true", "model.width=4,8")
    code, out, _ = command(*quick)
    assert code == 0 and out.count("no report: ZeroDivisionError") == 2
    assert len(list((tmp_path / "results").glob("*/seeds/000000.json"))) == 2


def test_a_sweep_of_two_studies_reports_on_each_and_both_from_one_reading(command, tmp_path, monkeypatch):
    read, of = [], Scores.of
    monkeypatch.setattr(Scores, "of", lambda study, metric=None: read.append(study.name) or of(study, metric))
    quick = ("-m", "seed=0,1", "jobs=1", "experiment=digits", "trainer.max_epochs=1", "report=true", "model.width=4,8")
    code, out, _ = command(*quick)
    assert code == 0 and read == ["digits-width4", "digits-width8"]
    for name in (*read, "+".join(read)):
        assert (page := tmp_path / "results" / name / "report" / "index.html").exists() and f"report in {page}" in out


def test_a_sweep_ends_with_its_report_and_those_of_several_studies_with_one_more(command, tmp_path):
    quick = ("-m", "seed=range(0,2)", "jobs=1", "experiment=digits", "trainer.max_epochs=1", "report=true")
    code, out, _ = command(*quick, "model.width=4,8")
    assert code == 0 and out.count("report in ") == 3
    assert (tmp_path / "results" / "digits-width4+digits-width8" / "report" / "index.html").exists()
    code, _, err = command(*quick, "report=maybe")
    assert code == 1 and "report=maybe: true or false" in err


def test_the_report_is_no_part_of_a_study(command, tmp_path):
    quick = ("jobs=1", "experiment=digits", "trainer.max_epochs=1")
    assert command("-m", "seed=0", *quick, "report=false")[0] == 0
    assert command("-m", "seed=0,1", *quick, "report=true")[0] == 0
