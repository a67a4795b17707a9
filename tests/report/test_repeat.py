"""What a report says on how to repeat a study."""

from dataclasses import replace

from seedspread.report.study_page import write_reports
from tests.synthetic import CONFIG, EXAMPLES, add_seed, found_in, make_record


def test_mixed_environments_are_pointed_out(study):
    add_seed(study, 24, 0.8, torch="2.13.0")
    text = write_reports([study])[0].with_name("report.md").read_text()
    assert "Seeds ran in different environments: packages.torch" in text
    assert "**mixed:** 2.14.1 (seed 0-23); 2.13.0 (seed 24)" in text


def test_what_a_reader_needs_to_repeat_it_is_told(study):
    text = write_reports([study])[0].with_name("report.md").read_text()
    assert "python -m src.train -m 'seed=range(0,24)' study=dots" in text
    assert f"seedspread reproduce study=dots seed={found_in(study).scores.best} results=" in text
    for told in ("d1" * 32, f"test {EXAMPLES}", "24 finished: 0-23", "2.14.1", "a cpu", "max_epochs: 8"):
        assert told in text


def test_seeds_far_apart_make_a_report(make_study):
    study = make_study([0.8, 0.81])
    for seed in (42, 2**31, 2**63 - 1):
        add_seed(study, seed, 0.8)
    text = write_reports([study])[0].with_name("report.md").read_text()
    assert "seed=0,1,42,2147483648,9223372036854775807" in text


def test_held_streams_are_told(make_study):
    study = make_study([0.8, 0.81], config={**CONFIG, "streams": {"init": 0, "order": None}})
    assert "| streams held | init=0 |" in write_reports([study])[0].with_name("report.md").read_text()


def test_a_function_and_a_program_are_repeated_as_they_were_run(make_study):
    function = {"function": {"name": "train", "source": {}, "values": {}}, "threads": 1}
    text = write_reports([make_study([0.8, 0.81], "mine", function)])[0].with_name("report.md").read_text()
    assert 'ss.sweep(train, seeds=range(0, 2), study="mine")' in text and "python -m src.train" not in text
    assert "| data |" not in text and f"| test examples | {EXAMPLES} |" in text
    program = {"command": ["python", "a.py", "{seed}"], "files": {}, "threads": 1}
    study = make_study([], "theirs", program)
    for seed in (3, 4, 99):
        command = f"seedspread run seed={seed} study=theirs -- python a.py {{seed}}"
        study.write(replace(make_record(study, seed, 0.8), command=command))
    text = write_reports([study])[0].with_name("report.md").read_text()
    assert "seedspread run 'seed=[3,4,99]' study=theirs -- python a.py '{seed}'" in text
    assert "python -m src.train" not in text


def test_one_seed_of_a_function_is_not_trained_by_a_command(make_study):
    function = {"function": {"name": "train", "source": {}, "values": {}}, "threads": 1}
    text = write_reports([make_study([0.8], "mine", function)])[0].with_name("report.md").read_text()
    assert "One seed has no distribution. Add seeds." in text
