"""A study's folder: records whole or not at all, configs never mixed, damage named."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from seedspread.config.errors import InputError
from seedspread.config.identity import compute_digest
from seedspread.execution.plan import find_missing_seeds
from seedspread.records.examples import ExampleIndex
from seedspread.records.files import combined_folder
from seedspread.records.progress import summarise_study
from seedspread.records.record import SCHEMA
from seedspread.records.scores import Scores
from seedspread.records.study import Study, list_studies, study_folder
from seedspread.report.status import describe_status
from tests.synthetic import add_seed, make_record

CONFIG = {"model": {"width": 8}, "threads": 1}


@pytest.fixture
def study(tmp_path):
    return Study.open(tmp_path / "results" / "digits", CONFIG)


@given(predictions=st.lists(st.integers(0, 999), min_size=13, max_size=13), seed=st.integers(0, 2**63 - 1))
def test_what_is_written_is_read_back(tmp_path_factory, predictions, seed):
    study = Study.open(tmp_path_factory.mktemp("s") / "x", CONFIG)
    record = make_record(study, seed, reason="ä", test_examples=13)
    index = ExampleIndex(np.arange(13) * 70, np.arange(13) + 5, np.array([f"{i}.png" for i in range(13)]))
    study.check_examples(index)
    study.write(record, np.array(predictions))
    assert study.record(seed) == record
    assert study.predictions(seed).tolist() == predictions and study.read_index().equals(index)
    right = np.unpackbits(study.correct(record), count=13).astype(bool)
    assert right.tolist() == [p == 70 * i for i, p in enumerate(predictions)]
    assert list(study.scan().records) == [seed]


@pytest.mark.parametrize("classes, each", [(10, 1), (256, 1), (257, 2), (1000, 2)])
def test_a_predicted_label_takes_one_byte_up_to_256_classes_and_two_above(study, classes, each):
    study.check_examples(ExampleIndex(np.arange(10_000) % classes, np.arange(10_000)))
    study.write(make_record(study, 0), np.zeros(10_000, np.int64))
    assert 10_000 * each < study.examples_path(0).stat().st_size < 10_000 * each + 500
    assert study.predictions(0).itemsize == each


@pytest.mark.parametrize("damage", ["missing", "empty", "torn", "foreign", "another array"])
def test_damaged_predictions_leave_their_seed_without_them(study, damage):
    for seed in range(2):
        add_seed(study, seed, 0.9)
    path = study.examples_path(1)
    written = path.read_bytes()
    np.save(other := path.with_name("other.npy"), np.arange(3))
    found = {"empty": b"", "torn": written[:-30], "foreign": b"hello", "another array": other.read_bytes()}
    path.write_bytes(found[damage]) if damage in found else path.unlink()
    assert list(Scores.of(study).correct) == [0]


def test_other_test_examples_are_refused_once_a_seed_is_recorded(study):
    first = ExampleIndex(np.array([0, 1]), np.array([0, 1]))
    others = [
        ExampleIndex(np.array([0, 2]), np.array([0, 1])),
        ExampleIndex(np.array([0, 1]), np.array([0, 2])),
        ExampleIndex(np.array([0, 1]), np.array([0, 1]), np.array(["a.png", "b.png"])),
        ExampleIndex(np.array([0]), np.array([0])),
    ]
    for index in (*others, first):  # none is recorded yet
        study.check_examples(index)
    study.write(make_record(study, 0))
    for index in others:
        with pytest.raises(InputError, match=r"holds results on other test examples(?s:.*)Check data\.source"):
            Study.open(study.folder, CONFIG).check_examples(index)
    study.index_path.write_bytes(b"torn")
    Study.open(study.folder, CONFIG).check_examples(first)
    assert study.read_index().equals(first)


def test_records_come_in_the_order_of_seeds_and_the_config_is_kept_readable(study):
    for seed in (10**7, 3, 0, 999_999):
        study.write(make_record(study, seed))
    assert list(study.scan().records) == [0, 3, 999_999, 10**7]
    stored = yaml.safe_load((study.folder / "study.yaml").read_text())
    assert stored == {
        "schema": SCHEMA,
        "digest": compute_digest(CONFIG),
        "metric": {"name": "val/acc", "direction": "maximize", "unit": "fraction"},
        "config": CONFIG,
    }


def test_a_study_without_records_takes_another_config(study):
    study.check_data("a" * 64)
    (study.folder / "seeds" / ".000003.json.17.tmp").write_text("draft")
    other = Study.open(study.folder, {"threads": 2})
    other.check_data("b" * 64)
    assert Study.load(study.folder).config == {"threads": 2}


def test_another_config_is_refused_with_the_keys_that_differ(study):
    study.write(make_record(study, 0))
    with pytest.raises(InputError) as told:
        Study.open(study.folder, {"model": {"width": 16}, "threads": 1, "new": None})
    assert "model.width: 8 there, 16 now" in str(told.value) and "new: - there, None now" in str(told.value)
    assert "study=digits_2" in str(told.value)
    assert Study.load(study.folder).config == CONFIG


def test_a_study_that_another_process_works_on_keeps_its_config(study):
    with pytest.raises(InputError, match="holds results of another config"):
        Study.open(study.folder, {"threads": 2}, in_use=True)
    assert Study.load(study.folder).config == CONFIG


def test_records_without_their_study_yaml_are_not_taken_over(study):
    study.write(make_record(study, 0))
    (study.folder / "study.yaml").unlink()
    with pytest.raises(InputError, match=r"holds records but no study\.yaml"):
        Study.open(study.folder, {"other": 1})
    assert study.record(0) == make_record(study, 0)


@pytest.mark.parametrize("owner, look", [(Path, "exists"), (Study, "is_empty")])
def test_workers_that_open_a_new_study_at_once_take_it_as_it_is(tmp_path, monkeypatch, owner, look):
    """One is stopped in the middle, for as long as another takes to make the study and to record a seed."""
    folder, look_there = tmp_path / "new", getattr(owner, look)

    def look_slowly(self):
        found = look_there(self)
        monkeypatch.undo()
        other = Study.open(folder, CONFIG)
        other.check_data("a" * 64)
        other.write(make_record(other, 0))
        return found

    monkeypatch.setattr(owner, look, look_slowly)
    study = Study.open(folder, CONFIG)
    assert study.record(0)
    with pytest.raises(InputError, match="other data"):
        study.check_data("b" * 64)


@pytest.mark.parametrize("name", ["..", ".", "", None, "a/b", ".hidden"])
def test_a_study_stays_within_its_results(name):
    with pytest.raises(InputError, match="a study is the name of one folder in results"):
        study_folder("results", name)


def test_a_name_too_long_for_a_folder_is_refused_under_its_key():
    assert study_folder("results", "é" * 127).name == "é" * 127
    with pytest.raises(InputError, match=r"^candidate=é{30}\.\.\.: the name has 256 bytes"):
        study_folder("results", "é" * 128, "candidate")


def test_a_study_may_be_a_number():
    assert study_folder("results", 2026) == Path("results/2026")


def test_other_data_are_refused(study):
    study.check_data("a" * 64)
    study.write(make_record(study, 0))
    Study.open(study.folder, CONFIG).check_data("a" * 64)
    with pytest.raises(InputError, match="holds results on other data"):
        study.check_data("b" * 64)


def test_a_study_of_a_newer_version_is_named(study):
    path = study.folder / "study.yaml"
    path.write_text(path.read_text().replace("schema: 2", "schema: 3"))
    with pytest.raises(InputError, match="has schema 3; this seedspread reads 1 and 2: update it"):
        Study.load(study.folder)


@pytest.mark.parametrize("edit", ["", "digest: 12", "[", "config: {model: {width: 9}, threads: 1}\ndigest: x"])
def test_a_damaged_study_yaml_is_named(study, edit):
    (study.folder / "study.yaml").write_text(edit)
    with pytest.raises(InputError, match="study.yaml (is damaged|was edited)"):
        Study.open(study.folder, CONFIG)


@pytest.mark.parametrize(
    "contents, reason",
    [
        (b"", "torn"),
        (b'{"schema": 1, "seed": 3', "torn"),
        (b"\x00" * 100, "torn"),
        (b"[1]", "not a record"),
        (b'{"schema": 99, "seed": 3, "status": "finished"}', "not a record"),
        (make_record(Study(Path("digits"), CONFIG), 4).to_json(), "holds seed 4"),
        (make_record(Study(Path("digits"), {}), 3).to_json(), "another config"),
        (
            make_record(Study(Path("digits"), CONFIG), 3, final={"val/acc": 7.5}).to_json(),
            "val/acc is not between 0 and 1",
        ),
    ],
)
def test_what_is_no_record_is_named_never_counted_never_deleted(study, contents, reason):
    study.record_path(3).write_bytes(contents)
    scan = study.scan()
    assert scan.records == {} and reason in scan.problems["000003.json"]
    assert study.record(3) is None and reason in study.problem(3)
    study.write(make_record(study, 3))
    assert study.record(3) == make_record(study, 3) and study.problem(3) is None
    (aside,) = (study.folder / "damaged").iterdir()
    assert aside.read_bytes() == contents


def test_what_is_damaged_takes_no_place_of_what_was_damaged_before(study):
    """Also where somebody has removed some of it."""
    places = []
    for contents in (b"first", b"second"):
        study.record_path(3).write_bytes(contents)
        places.append(study.move_to_damaged(study.record_path(3)))
    places[0].unlink()
    study.record_path(3).write_bytes(b"third")
    assert study.move_to_damaged(study.record_path(3)).read_bytes() == b"third" and places[1].read_bytes() == b"second"


def test_foreign_files_are_named(study):
    (study.folder / "seeds" / "notes.txt").write_text("hi")
    (study.folder / "seeds" / "3.json").write_text("{}")
    (study.folder / "seeds" / ".000003.json.17.tmp").write_text("draft")
    assert set(study.scan().problems) == {"notes.txt", "3.json"}


@pytest.mark.parametrize("call", [(os, "fsync"), (Path, "replace")])
def test_a_full_disk_leaves_the_old_record_whole_and_no_draft(study, monkeypatch, call):
    study.write(make_record(study, 3, reason="old"))

    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(*call, full)
        with pytest.raises(InputError, match="No space left on device. Free some space.*results=PATH"):
            study.write(make_record(study, 3, reason="new"))
    assert study.record(3).reason == "old"
    assert [path.name for path in (study.folder / "seeds").iterdir()] == ["000003.json"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        InputError,
        match="file/digits: .*file is a file, not a folder. Name .* results=PATH",
    ):
        Study.open(tmp_path / "file" / "digits", CONFIG)


def test_studies_in_a_folder_are_those_with_a_study_yaml(study):
    Study.open(study.folder.with_name("another"), CONFIG)
    (study.folder.with_name("one+other") / "report").mkdir(parents=True)
    assert list_studies(study.folder.parent) == ["another", "digits"] and list_studies("no such folder") == []


def test_what_is_said_of_several_studies_has_a_folder_of_its_own(study):
    results = study.folder.parent
    assert combined_folder(results, "one+other") == results / "one+other"
    long, longer = (combined_folder(results, "a_long_name+" * count) for count in (30, 31))
    assert long.parent == longer.parent == results and long != longer
    assert long == combined_folder(results, "a_long_name+" * 30) and len(long.name) < 150
    with pytest.raises(InputError, match="digits is a study itself"):
        combined_folder(results, "digits")


def test_a_record_that_cannot_count_is_not_written(study):
    with pytest.raises(ValueError, match="val/acc is not between 0 and 1"):
        study.write(impossible(study, 3))
    assert not study.record_path(3).exists()


def impossible(study, seed):
    record = make_record(study, seed)
    return replace(record, final={**record.final, "val/acc": 7.5})


def test_a_record_that_cannot_count_is_counted_nowhere_named_everywhere_and_trained_again(study):
    """An accuracy of 750 %, in the place of seed 1: status, sweeps and reports agree."""
    for seed in (0, 2):
        study.write(make_record(study, seed, 0.9))
    study.record_path(1).write_bytes(impossible(study, 1).to_json())
    why = "000001.json: val/acc is not between 0 and 1"
    assert study.record(1) is None and not study.is_done(1) and not study.is_empty()
    before, todo = find_missing_seeds(study.folder, [0, 1, 2])
    assert todo == [1] and list(before.scores) == [0, 2]
    assert describe_status(study).count("90.15 ± 0.00 %") == 1 and why in describe_status(study)
    assert "digits, 2 seeds" in summarise_study(study, study.scan()) and why in summarise_study(study, study.scan())
    scores = Scores.of(study)
    assert scores.seeds.tolist() == [0, 2] and list(scores.problems) == ["000001.json"]
    study.write(make_record(study, 1))
    assert (study.folder / "damaged" / "000001-0.json").exists() and study.scan().problems == {}
