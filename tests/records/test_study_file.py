"""A study in one file: everything of it but the paths, and the same study again from it."""

import filecmp

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from seedspread.commands.cli import main
from seedspread.config.errors import InputError
from seedspread.records.example_results import hash_results
from seedspread.records.examples import ExampleIndex
from seedspread.records.study import Study
from seedspread.records.study_file import leave_out_places, read_study_file, restore_study, write_study_file
from tests.synthetic import CONFIG, EXAMPLES, make_record

LABELS = np.arange(EXAMPLES) % 10
PLACE = "/home/somebody/pictures"


def add(study, seed, **more):
    said = {"predictions": (LABELS + (np.arange(EXAMPLES) < seed)) % 10, "scores": np.arange(EXAMPLES) / (seed + 1)}
    fields = {
        "predictions_sha256": hash_results(said)[1],
        "data_source": f"{PLACE}/cifar.tar",
        "command": f"python -m src.train seed={seed} results={PLACE} data.source={PLACE}/cifar.tar",
    }
    study.write(make_record(study, seed, (EXAMPLES - seed) / EXAMPLES, **fields, **more), **said)


@pytest.fixture
def study(tmp_path):
    """Four seeds that finished with labels and scores of each example, one that diverged, one that failed."""
    study = Study.open(tmp_path / "there" / "digits", CONFIG)
    study.check_data("d1" * 32)
    study.check_examples(ExampleIndex(LABELS, np.arange(EXAMPLES), np.array([f"{i}.png" for i in range(EXAMPLES)])))
    for seed in range(4):
        add(study, seed)
    final = {"val/acc": None, "train/loss": 1.5}
    curves = {"val/acc": [0.1, None], "train/loss": [2.0, 1.5]}
    study.write(make_record(study, 4, status="diverged", final=final, curves=curves, epochs=2))
    study.write(make_record(study, 5, status="failed", reason=f"FileNotFoundError: '{PLACE}/1.png'"))
    return study


@pytest.fixture
def path(study, tmp_path):
    write_study_file(study, tmp_path / "digits.parquet")
    return tmp_path / "digits.parquet"


def test_a_restored_study_is_the_exported_one_without_its_paths(study, path, tmp_path):
    restored, new = restore_study(read_study_file(path), tmp_path / "here")

    assert new == [0, 1, 2, 3, 4, 5]
    found, expected = restored.scan(), study.scan()
    assert not found.problems and found.records.keys() == expected.records.keys()
    left_out = {"command", "data_source", "reason"}
    for seed, record in expected.records.items():
        same = {name: value for name, value in vars(record).items() if name not in left_out}
        assert same == {name: value for name, value in vars(found.records[seed]).items() if name not in left_out}
    assert found.records[3].command == "python -m src.train seed=3 data.source=cifar.tar"
    assert found.records[3].data_source == "cifar.tar"
    assert found.records[5].reason == "FileNotFoundError: '1.png'"
    for name in ("study.yaml", *(f"examples/{one}.npz" for one in ("index", "000000", "000003"))):
        assert filecmp.cmp(study.folder / name, restored.folder / name, shallow=False)
    assert b"somebody" not in path.read_bytes() and not list((tmp_path / "here").glob(".draft*"))
    again = tmp_path / "again.parquet"
    write_study_file(restored, again)
    assert filecmp.cmp(path, again, shallow=False)


def test_any_library_reads_scores_curves_and_labels(study, path):
    table = pd.read_parquet(path).set_index("seed")

    assert table["val/acc"][3] == study.record(3).final["val/acc"]
    assert table["curves/val/acc"][3].tolist() == study.record(3).curves["val/acc"]
    assert np.frombuffer(table["examples/predictions"][3], np.uint8).tolist() == study.predictions(3).tolist()
    assert table["status"].tolist() == ["finished"] * 4 + ["diverged", "failed"]


def test_a_study_that_is_there_gains_the_seeds_that_it_lacks(study, path, tmp_path):
    there = Study.open(tmp_path / "here" / "digits", CONFIG)
    there.check_data("d1" * 32)
    there.check_examples(study.read_index())
    for seed in (1, 7):
        add(there, seed)

    assert restore_study(read_study_file(path), tmp_path / "here")[1] == [0, 2, 3, 4, 5]
    assert list(there.scan().records) == [0, 1, 2, 3, 4, 5, 7]
    assert there.predictions(2).tolist() == study.predictions(2).tolist()
    assert restore_study(read_study_file(path), tmp_path / "here")[1] == []


def test_a_seed_with_another_result_is_refused_and_nothing_written(path, tmp_path):
    there = Study.open(tmp_path / "here" / "digits", CONFIG)
    there.write(make_record(there, 3, 0.5, weights_sha256="ff" * 32))
    with pytest.raises(InputError, match=r"seed 3 is in .*digits with another result \(weights_sha256\)"):
        restore_study(read_study_file(path), tmp_path / "here")
    assert list(there.scan().records) == [3]


def test_other_data_and_another_config_are_refused(path, tmp_path):
    other = Study.open(tmp_path / "here" / "digits", CONFIG)
    other.check_data("ee" * 32)
    other.write(make_record(other, 9))
    with pytest.raises(InputError, match="other data"):
        restore_study(read_study_file(path), tmp_path / "here")
    Study.open(tmp_path / "here" / "wide", {**CONFIG, "width": 9}).write(make_record(other, 9))
    with pytest.raises(InputError, match=r"another config \(width"):
        restore_study(read_study_file(path), tmp_path / "here", "wide")


def test_paths_in_a_config_are_left_out_and_its_digest_follows(tmp_path):
    study = Study.open(tmp_path / "there" / "digits", {**CONFIG, "command": ["python", f"{PLACE}/train.py"]})
    add(study, 0)
    contents = write_study_file(study, tmp_path / "digits.parquet")

    assert contents.stored["digest"] != study.digest
    restored, _ = restore_study(read_study_file(tmp_path / "digits.parquet"), tmp_path / "here")
    assert restored.config["command"] == ["python", "train.py"] and list(restored.scan().records) == [0]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("data.source=/home/me/cifar.tar.xz", "data.source=cifar.tar.xz"),
        ("~/data/x.py, C:\\Users\\me\\x.py", "x.py, x.py"),
        ("https://host/a/b and conf/data/x.yaml and 3/4", "https://host/a/b and conf/data/x.yaml and 3/4"),
        ({"/home/me/x": ["/home/me/y", 3, None]}, {"x": ["y", 3, None]}),
    ],
)
def test_of_an_absolute_path_the_last_part_stays(text, expected):
    assert leave_out_places(text) == expected


@pytest.mark.parametrize("damage", ["torn", "record", "labels", "digest"])
def test_a_damaged_file_is_named_and_nothing_written(path, tmp_path, damage):
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(InputError, match="is no whole file of a study"):
            read_study_file(path)
        return
    table = pq.read_table(path)
    metadata = dict(table.schema.metadata)
    frame = {name: table.column(name).to_pylist() for name in table.column_names}
    if damage == "record":
        frame["val/acc"][1] = 7.0
    elif damage == "labels":
        frame["examples/predictions"][1] = bytes(EXAMPLES)
    else:
        metadata[b"seedspread.study"] = metadata[b"seedspread.study"].replace(b"max_epochs: 8", b"max_epochs: 9")
    pq.write_table(type(table).from_pydict(frame, table.schema.with_metadata(metadata)), path)
    with pytest.raises(InputError, match="was edited: " + ("its digest" if damage == "digest" else "seed 1: ")):
        read_study_file(path)


def test_the_commands_export_and_import(study, path, tmp_path, invoked, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = invoked(main, "export", "study=digits", "results=there", "folder=out")
    assert code == 0 and out.startswith("out/digits.parquet: 6 seeds, ")
    assert "2 of them without results of single examples" in out
    assert filecmp.cmp(path, "out/digits.parquet", shallow=False)

    code, out, _ = invoked(main, "import", "out/digits.parquet")
    assert code == 0 and out.startswith("digits, 4 seeds: accuracy 99.26 ")
    assert "seedspread report study=digits" in out
    assert "6 of them were there already" in invoked(main, "import", "out/digits.parquet")[1]
    assert invoked(main, "import", "out/digits.parquet", "study=mine")[0] == 0
    assert list(Study.load("results/mine").scan().records) == list(range(6))

    assert "2 studies cannot have one name" in invoked(main, "import", *["out/digits.parquet"] * 2, "study=a")[2]
    (tmp_path / "x.csv").write_text("seed,acc\n0,1\n")
    assert "x.csv is no exported study" in invoked(main, "import", "out/digits.parquet", "x.csv")[2]
    assert "gone.parquet is not there" in invoked(main, "import", "out/digits.parquet", "gone.parquet")[2]
    assert "results has mine, digits" in invoked(main, "export")[2]
    Study.open(tmp_path / "results/empty", CONFIG)
    assert "holds no record yet" in invoked(main, "export", "study=empty")[2]
