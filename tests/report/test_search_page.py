"""The page of a search."""

from dataclasses import replace

import pandas as pd
import pytest

from seedspread.records.metric import Metric
from seedspread.records.study import Study
from seedspread.report.search_page import write_search_page
from seedspread.search.results import SearchResults
from seedspread.search.trials import Trial
from tests.search.synthetic import SPACE, write_search
from tests.synthetic import make_record


def test_a_page_that_cannot_be_made_leaves_the_one_before(tmp_path):
    told = SearchResults.of(write_search(tmp_path, [(SPACE.sample_points(1, 0)[0], [[90.0, 91.0]])]), SPACE)
    page = write_search_page(told, told.folder / "report")
    before = {path: path.read_bytes() for path in page.parent.iterdir()}
    with pytest.raises(KeyError):
        write_search_page(replace(told, best=replace(told.best, point={})), page.parent)
    assert {path: path.read_bytes() for path in page.parent.iterdir()} == before
    assert sorted(path.name for path in told.folder.iterdir()) == ["report", "trial-000"]


@pytest.mark.draws
def test_a_search_of_a_metric_to_be_minimized_is_reported_in_its_direction_and_unit(tmp_path):
    folder, rmse = tmp_path / "made-search", Metric.of("val/rmse")
    points = SPACE.sample_points(10, 0)
    for i, point in enumerate(points):
        trial = Trial(f"trial-{i:03d}", point, {}, space=SPACE.describe())
        trial.write(folder / trial.name)
        study = Study.open(folder / trial.name, {"point": point}, metric=rmse)
        for seed in range(2):
            value = 50 + 3.0 * i + 0.4 * seed
            record = replace(make_record(study, seed), test_examples=None, predictions_sha256=None)
            study.write(replace(record, curves={"val/rmse": [99.0] * 7 + [value]}, final={"val/rmse": value}))
    found = SearchResults.of(folder, SPACE)
    assert found.best.name == "trial-000" and [t.name for t in found.ranked[:2]] == ["trial-000", "trial-001"]
    page = write_search_page(found, folder / "report")
    text = page.with_name("search.md").read_text()
    assert "trial-000 is the best of 10 trials with val/rmse 50.20, not" in text and "| 50.20 ± 0.28 |" in text
    assert "%" not in text.split("## Log")[0].replace("(0 %)", "") and "accuracy" not in text
    assert pd.read_csv(page.with_name("trials.csv"))["val_rmse"][0] == 50.2
    assert page.with_name("curves.png").exists() and page.with_name("best_so_far.png").exists()
