"""The pictures of recorded test examples: the very pixels, or none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seedspread.commands.train import train
from seedspread.data.digits import read_digits
from seedspread.data.recorded_pictures import find_pictures
from seedspread.records.examples import ExampleIndex
from seedspread.records.study import Study
from tests.data.pictures import files, folder
from tests.synthetic import CONFIG, make_record


@pytest.fixture
def trained(small, tmp_path):
    record = train(small("trainer.max_epochs=1", "data.test_size=100"))
    return Study.load(tmp_path / "results" / "digits"), record


def test_pictures_in_the_cache_are_those_of_the_data(trained, cache, monkeypatch, tmp_path):
    study, record = trained
    record = replace(record, command=f"python -m src.train seed=0 data.cache={cache}")
    monkeypatch.chdir(tmp_path)
    index = study.read_index()
    found = find_pictures(study, record, index, [7, 0, 99])
    assert found.classes == tuple("0123456789")
    test = read_digits(None, Path(cache), 8).test
    for picture, example in zip(found.pictures, [7, 0, 99], strict=True):
        at = index.positions[example]
        assert test.labels[at] == index.labels[example]
        assert np.array_equal(picture, np.repeat(test.images[at], 3, axis=2))


def test_what_is_not_the_recorded_data_is_not_shown(trained, cache, monkeypatch, tmp_path):
    study, record = trained
    monkeypatch.chdir(tmp_path)
    index = study.read_index()
    assert find_pictures(study, replace(record, command="python -m src.train seed=0"), index, [0]) is None
    record = replace(record, command=f"python -m src.train seed=0 data.cache={cache}")
    assert find_pictures(study, replace(record, data_sha256="0" * 64), index, [0]) is None
    wrong = ExampleIndex((index.labels + 1) % 10, index.positions)
    assert find_pictures(study, record, wrong, [0]) is None
    (tmp_path / "data" / "broken").mkdir(parents=True)
    (tmp_path / "data" / "broken" / "manifest.json").write_text("{")
    assert find_pictures(study, replace(record, command="python -m src.train seed=0"), index, [0]) is None


def test_pictures_in_files_are_read_by_their_names(tmp_path):
    root = folder(tmp_path / "in", files(test=2))
    Image.new("RGB", (400, 200), (9, 9, 9)).save(root / "test/b/0.png")
    names = np.array(["test/a/0.png", "test/a/1.png", "test/b/0.png", "test/b/gone.png"])
    index = ExampleIndex(np.array([0, 0, 1, 1]), np.arange(4), names)
    study = Study.open(tmp_path / "results" / "mine", CONFIG)
    found = find_pictures(study, make_record(study, 0, data_source=str(root)), index, [1, 2, 3])
    assert found.classes == ("a", "b") and found.pictures[2] is None
    assert (found.pictures[0] == 101).all() and found.pictures[1].shape == (48, 96, 3)
    assert find_pictures(study, make_record(study, 0, data_source=str(tmp_path / "moved")), index, [1]) is None
    assert find_pictures(study, make_record(study, 0), index, [1]) is None
