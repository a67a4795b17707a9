"""The page of a search."""

from dataclasses import replace

import pytest

from seedspread.report.search_page import write_search_page
from seedspread.search.results import SearchResults
from tests.search.synthetic import SPACE, write_search


def test_a_page_that_cannot_be_made_leaves_the_one_before(tmp_path):
    told = SearchResults.of(write_search(tmp_path, [(SPACE.sample_points(1, 0)[0], [[90.0, 91.0]])]), SPACE)
    page = write_search_page(told, told.folder / "report")
    before = {path: path.read_bytes() for path in page.parent.iterdir()}
    with pytest.raises(KeyError):
        write_search_page(replace(told, best=replace(told.best, point={})), page.parent)
    assert {path: path.read_bytes() for path in page.parent.iterdir()} == before
    assert sorted(path.name for path in told.folder.iterdir()) == ["report", "trial-000"]
