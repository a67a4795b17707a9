"""Reports: numbers against the records, files, and pages in a real browser."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from seedspread.config.errors import InputError
from seedspread.records.requests import request_seeds
from seedspread.report.figures import FIGURES, draw_figures
from seedspread.report.study_page import write_reports, write_side_by_side
from tests import browser
from tests.synthetic import add_seed, found_in, with_norms


def test_every_number_of_the_table_follows_from_the_records(study):
    write_reports([study])
    row = pd.read_csv(study.folder / "report" / "table.csv").iloc[0]
    records = [json.loads(path.read_text()) for path in sorted((study.folder / "seeds").iterdir())]
    scores = np.array([100 * record["final"]["val/acc"] for record in records])
    assert (row["mean"], row["std"]) == pytest.approx((scores.mean(), scores.std(ddof=1)))
    assert (row["min"], row["max"], row["median"]) == pytest.approx((scores.min(), scores.max(), np.median(scores)))
    assert (row["min_seed"], row["max_seed"], row["seeds"]) == (scores.argmin(), scores.argmax(), 24)
    assert row["iqm"] == pytest.approx(np.sort(scores)[6:18].mean())
    assert row["seconds_total"] == pytest.approx(sum(sum(record["seconds"].values()) for record in records))
    page = (study.folder / "report" / "index.html").read_text()
    assert f"{scores.mean():.2f} ± {scores.std(ddof=1):.2f}" in page and f"{scores.max():.2f}" in page
    seeds = pd.read_parquet(study.folder / "report" / "seeds.parquet")
    assert seeds["val_acc_percent"].to_numpy() == pytest.approx(scores)
    assert pd.read_csv(study.folder / "report" / "seeds.csv")["weights_sha256"][3] == records[3]["weights_sha256"]
    curves = pd.read_parquet(study.folder / "report" / "curves.parquet").set_index(["seed", "epochs_trained"])
    assert curves.loc[(5, 3), "val_loss"] == pytest.approx(records[5]["curves"]["val/loss"][2])


@pytest.mark.draws
def test_every_file_is_there_and_the_page_needs_no_network(study):
    page, _ = write_reports([study])
    names = {path.name for path in page.parent.iterdir()}
    figures = {*FIGURES, "seed_map"} - {"gradient_norms", "validation_and_test"}  # neither was recorded
    assert {f"{name}.{kind}" for name in figures for kind in ("png", "svg")} <= names
    assert {
        "index.html",
        "report.md",
        "table.csv",
        "table.tex",
        "seeds.csv",
        "seeds.parquet",
        "curves.parquet",
        "summary.json",
    } <= names
    text = page.read_text()
    assert text.count('src="data:image/svg+xml;base64,') == len(figures) and not re.search(r'src="(?!data:)', text)
    addresses = set(re.findall(r'href="([^"#]+)"', text))
    assert addresses == {"https://arxiv.org/abs/2109.08203", "../../index.html"}


@pytest.mark.draws
def test_the_same_study_gives_the_same_bytes(study):
    def written():
        page, _ = write_reports([study])
        return {path.name: path.read_bytes() for path in page.parent.iterdir()}

    assert written() == written()


def test_no_seed_is_dropped_in_silence(study):
    request_seeds(study.folder, "0-29")
    add_seed(study, 24, 0.1, status="diverged")
    add_seed(study, 25, 0.1, status="failed")
    study.record_path(27).write_text('{"torn')
    page, (found,) = write_reports([study])
    text = page.with_name("report.md").read_text()
    assert found.n == 24 and "dots: these numbers come from 24 finished seeds" in text
    assert "4 of 30 requested seeds have no record yet: 26-29" in text
    assert (
        "1 seed diverged (a loss or score not finite), excluded" in text
        and "seed 24: out of luck" in text
        and "1 seed failed" in text
        and "seed 25" in text
    )
    assert "Not counted: seeds/000027.json: empty, torn" in text
    assert "<blockquote>" in page.read_text()
    seeds = pd.read_parquet(page.with_name("seeds.parquet")).set_index("seed")
    assert seeds.loc[24, "status"] == "diverged" and seeds.loc[25, "reason"] == "out of luck"


def test_nothing_to_note_is_no_note(study):
    page, _ = write_reports([study])
    assert "these numbers come from" not in page.read_text()


def test_of_several_studies_those_without_a_finished_seed_are_left_out_and_named(make_study, capsys):
    studies = [make_study([0.8, 0.81, 0.8]), make_study([], "begun"), make_study([0.7, 0.72, 0.7], "other")]
    page, several = write_reports(studies)
    assert [found.name for found in several] == ["dots", "other"] and page.parent.parent.name == "dots+other"
    assert "left out: " in (said := capsys.readouterr().out) and "begun: no finished seed" in said
    with pytest.raises(InputError, match="none of begun, empty has a finished seed"):
        write_reports([studies[1], make_study([], "empty")])


def test_long_names_make_a_report(make_study):
    studies = [make_study([0.8, 0.81, 0.82], f"{'a_rather_long_name_of_a_study' * 3}_{i}") for i in range(3)]
    page, _ = write_reports(studies)
    assert page.exists() and len(page.parent.parent.name) < 255 < len("+".join(study.name for study in studies))


@pytest.mark.draws
def test_names_with_marks_make_a_report(make_study):
    odd, other = make_study([0.8, 0.81, 0.8, 0.8, 0.82], "x|y a$\\foo$ `z`"), make_study([0.7, 0.71, 0.72], "other")
    assert write_side_by_side([found_in(odd), found_in(other)]).exists()


def test_a_report_that_fails_leaves_the_one_before(study, monkeypatch):
    page, _ = write_reports([study])
    before = {path.name: path.read_bytes() for path in page.parent.iterdir()}
    add_seed(study, 24, 0.9)
    monkeypatch.setattr("seedspread.report.study_page.latex_table", lambda several: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_reports([study])
    assert {path.name: path.read_bytes() for path in page.parent.iterdir()} == before
    assert {path.name for path in study.folder.iterdir()} <= {
        "study.yaml",
        "seeds",
        "examples",
        "report",
        "tensorboard",
    }


def test_seeds_with_and_without_gradient_norms_make_one_report(study):
    for seed in (3, 5):
        with_norms(study, seed, [3.0] * 8)
    with_norms(study, 7, [None, *[4.0] * 7])  # watched from its second epoch on
    page, (found,) = write_reports([study])
    assert found.n == 24 and not found.scores.problems and len(found.scores.complete_curves("grad_norm/max")) == 2
    assert "(median over epochs and 2 seeds)" in page.read_text() and page.with_name("gradient_norms.svg").exists()
    seeds = pd.read_parquet(page.with_name("seeds.parquet")).set_index("seed")["grad_norm_max"]
    assert seeds[3] == 3 and seeds[7] == 4 and np.isnan(seeds[0])
    curves = pd.read_parquet(page.with_name("curves.parquet")).set_index(["seed", "epochs_trained"])
    assert np.isnan(curves.loc[(0, 1), "grad_norm_p90"]) and curves.loc[(5, 8), "grad_norm_p90"] == 1.5
    run = EventAccumulator(str(study.folder / "tensorboard")).Reload()
    means = [make_ndarray(event.tensor_proto).item() for event in run.Tensors("grad_norm_max/mean")]
    assert means == pytest.approx([3.0, *[10 / 3] * 7])  # over the seeds that have it
    beside, _ = write_reports([study, study])
    assert beside.with_name("gradient_norms.png").exists()


@pytest.mark.draws
def test_gradient_norms_of_some_seeds_are_drawn(study, tmp_path):
    with_norms(study, 3, [3.0] * 8)
    with_norms(study, 7, [None, *[4.0] * 7])
    assert list(draw_figures([found_in(study)], tmp_path, only="gradient_norms")) == ["gradient_norms"]
    assert Image.open(tmp_path / "gradient_norms.png").width > 300


def test_several_studies_stand_side_by_side(make_study):
    rng = np.random.default_rng(3)
    narrow, wide = make_study(rng.normal(0.8, 0.005, 30), "narrow"), make_study(rng.normal(0.7, 0.04, 30), "wide")
    page, _ = write_reports([narrow, wide])
    assert page.parent.parent.name == "narrow+wide" and (page.parent / "spreads.png").exists()
    text = page.with_name("report.md").read_text()
    assert "The spreads differ (Brown-Forsythe p < 0.001)" in text and "wide spreads more" in text
    assert len(pd.read_csv(page.with_name("table.csv"))) == 2
    assert (narrow.folder / "report" / "index.html").exists() and (wide.folder / "tensorboard").exists()


def test_names_and_reasons_are_text_not_markup(make_study):
    study = make_study([0.8, 0.81], "a_b_c")
    add_seed(study, 2, 0.1, status="failed", reason="<script>alert(1)</script> *x* | y")
    page = write_reports([study])[0].read_text()
    assert "<script>" not in page and "&lt;script&gt;" in page and "a_b_c" in page and "<em>x</em>" not in page


@pytest.mark.draws
def test_the_page_in_a_browser_shows_its_figures(study, chromium):
    page, _ = write_reports([study])
    chromium.get(page.resolve().as_uri())
    sizes = browser.drawn(chromium, "img", "[element.complete, element.naturalWidth]")
    assert len(sizes) == 8 and all(complete and width > 300 for complete, width in sizes)
    assert not [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]
