"""Results of a search: what is read, damaged files, trials that count."""

import pytest

from seedspread.config.errors import InputError
from seedspread.report.search_words import cautions
from seedspread.search.results import SearchResults
from seedspread.search.space import Space
from tests.search.synthetic import SPACE, write_search


def test_damaged_files_of_a_search_are_named(tmp_path):
    folder = write_search(tmp_path, [(point, [[90.0], [92.0]]) for point in SPACE.sample_points(3, 0)])
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
    first, *others = SPACE.sample_points(3, 0)
    folder = write_search(tmp_path, [(first, [[90.0], [91.0]]), *((point, []) for point in others)])
    assert [trial.name for trial in SearchResults.of(folder, SPACE).trials] == ["trial-000"]
    fewer = Space(SPACE.hyperparameters[:2])
    with pytest.raises(InputError, match="trial-000 has optimizer.lr, .*: give the space of that search"):
        SearchResults.of(folder, fewer)
