"""Reports: numbers against the records, words against the numbers, pages and TensorBoard in a real browser."""

import json
import re
import subprocess
import sys

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.util.tensor_util import make_ndarray

from seedspread.commands.report import main
from seedspread.config.errors import InputError
from seedspread.config.identity import study_identity
from seedspread.config.resolve import resolve_config
from seedspread.execution.monitor import SweepMonitor
from seedspread.records.progress import Progress
from seedspread.records.record import SCHEMA
from seedspread.records.scores import Scores
from seedspread.records.study import Study
from seedspread.report import figures, wording
from seedspread.report.figures import FIGURES
from seedspread.report.findings import Findings
from seedspread.report.study_page import write_reports
from seedspread.report.tables import latex_table, results_table
from seedspread.report.tensorboard import RunningBands
from tests import browser
from tests.conftest import ROOT

EXAMPLES = 203
CONFIG = {"data": {"name": "dots"}, "trainer": {"max_epochs": 8}}


def add_seed(study, seed, accuracy, *, epochs=8, status="finished", torch="2.14.1", more=None):
    """A record whose accuracy, a share of EXAMPLES, rises to `accuracy`."""
    right = np.arange(EXAMPLES) < round(accuracy * EXAMPLES)
    rise = 1 - 0.8 * np.exp(-np.arange(epochs))
    curve = rise * right.mean() / rise[-1]
    values = {"train/loss": 3 - curve, "train/acc": curve, "val/loss": 2 - curve, "val/acc": curve}
    record = {
        "schema": SCHEMA, "seed": seed, "status": status, "reason": None if status == "finished" else "out of luck",
        "streams": {"init": seed, "order": seed, "augment": seed}, "study": study.name,
        "config_digest": study.digest, "command": f"python -m src.train seed={seed} study={study.name}",
        "environment": {"packages": {"torch": torch}, "cpu": "a cpu", "gpu": None, "threads": 1},
        "data_sha256": "d1" * 32, "test_examples": EXAMPLES, "weights_sha256": f"{seed:064x}",
        "metrics": {
            "epochs": {"epoch": list(range(epochs)), **{key: line.tolist() for key, line in values.items()}},
            "final": {key: float(line[-1]) for key, line in values.items()},
        },
        "seconds": {"setup": 0.5, "train": 10.0 + seed, "score": 1.5},
        "ended": f"2026-01-01T00:00:{seed % 60:02}+00:00",
    }  # fmt: skip
    if status == "failed":
        del record["metrics"], record["seconds"]
    study.write({**record, **(more or {})}, right)


@pytest.fixture
def made(tmp_path):
    """Make a study of these accuracies (fractions), seeds 0, 1, 2, ..."""

    def make(accuracies, name="dots", config=CONFIG):
        study = Study.open(tmp_path / "results" / name, config)
        for seed, accuracy in enumerate(accuracies):
            add_seed(study, seed, accuracy)
        return study

    return make


@pytest.fixture
def study(made):
    return made(np.random.default_rng(1).normal(0.8, 0.02, 24))


def found_in(study):
    return Findings.of(Scores.of(study))


def words(sentences):
    return " ".join(sentences)


def test_every_number_of_the_table_follows_from_the_records(study):
    write_reports([study])
    row = pd.read_csv(study.folder / "report" / "table.csv").iloc[0]
    records = [json.loads(path.read_text()) for path in sorted((study.folder / "seeds").iterdir())]
    scores = np.array([100 * record["metrics"]["final"]["val/acc"] for record in records])
    assert (row["mean"], row["std"]) == pytest.approx((scores.mean(), scores.std(ddof=1)))
    assert (row["min"], row["max"], row["median"]) == pytest.approx((scores.min(), scores.max(), np.median(scores)))
    assert (row["min_seed"], row["max_seed"], row["seeds"]) == (scores.argmin(), scores.argmax(), 24)
    assert row["iqm"] == pytest.approx(np.sort(scores)[6:18].mean())
    assert row["seconds_in_all"] == pytest.approx(sum(sum(record["seconds"].values()) for record in records))
    page = (study.folder / "report" / "index.html").read_text()
    assert f"{scores.mean():.2f} ± {scores.std(ddof=1):.2f}" in page and f"{scores.max():.2f}" in page
    seeds = pd.read_parquet(study.folder / "report" / "seeds.parquet")
    assert seeds["val_acc_percent"].to_numpy() == pytest.approx(scores)
    assert pd.read_csv(study.folder / "report" / "seeds.csv")["weights_sha256"][3] == records[3]["weights_sha256"]
    curves = pd.read_parquet(study.folder / "report" / "curves.parquet").set_index(["seed", "epochs_trained"])
    assert curves.loc[(5, 3), "val_loss"] == pytest.approx(records[5]["metrics"]["epochs"]["val/loss"][2])


def test_every_file_is_there_and_the_page_needs_no_network(study):
    page, _ = write_reports([study])
    names = {path.name for path in page.parent.iterdir()}
    figures = set(FIGURES) - {"gradient_norms"}  # none were recorded
    assert {f"{name}.{kind}" for name in figures for kind in ("png", "svg")} <= names
    assert {
        "index.html",
        "report.md",
        "table.csv",
        "table.tex",
        "seeds.csv",
        "seeds.parquet",
        "curves.parquet",
    } <= names
    text = page.read_text()
    assert text.count('src="data:image/svg+xml;base64,') == len(figures) and not re.search(r'src="(?!data:)', text)
    assert set(re.findall(r'href="([^"]+)"', text)) == {"https://arxiv.org/abs/2109.08203"}


def test_the_same_study_gives_the_same_bytes(study):
    def written():
        page, _ = write_reports([study])
        return {path.name: path.read_bytes() for path in page.parent.iterdir()}

    assert written() == written()


def test_neither_torch_nor_lightning_is_imported(study):
    script = "import sys, seedspread.report; print(sorted({'torch', 'lightning'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True).stdout == "[]\n"


def test_no_seed_is_dropped_in_silence(study):
    study.start(asked="0-29")
    add_seed(study, 24, 0.1, status="diverged")
    add_seed(study, 25, 0.1, status="failed")
    study.record_path(27).write_text('{"torn')
    page, (found,) = write_reports([study])
    text = page.with_name("report.md").read_text()
    assert found.n == 24 and "dots stands on 24 finished seeds" in text
    assert "4 of 30 seeds asked for have no record yet: 26-29" in text
    assert "1 diverged" in text and "seed 24: out of luck" in text and "1 failed" in text and "seed 25" in text
    assert "Not counted: seeds/000027.json: empty, torn" in text
    assert "<blockquote>" in page.read_text()
    seeds = pd.read_parquet(page.with_name("seeds.parquet")).set_index("seed")
    assert seeds.loc[24, "status"] == "diverged" and seeds.loc[25, "reason"] == "out of luck"


def test_nothing_to_note_is_no_note(study):
    page, _ = write_reports([study])
    assert "stands on" not in page.read_text()


def test_curves_of_different_lengths_are_an_error_that_lists_the_seeds(study):
    add_seed(study, 30, 0.8, epochs=5)
    with pytest.raises(InputError, match=r"differ in length \(5 epochs: seed 30; 8 epochs: seed 0-23\)"):
        write_reports([study])


def test_a_study_without_a_finished_seed_is_an_error(made):
    study = made([])
    add_seed(study, 0, 0.1, status="failed")
    with pytest.raises(InputError, match="no finished seed to report on"):
        write_reports([study])


def test_of_several_studies_those_without_a_finished_seed_are_left_out_and_named(made, capsys):
    studies = [made([0.8, 0.81, 0.8]), made([], "begun"), made([0.7, 0.72, 0.7], "other")]
    page, several = write_reports(studies)
    assert [found.name for found in several] == ["dots", "other"] and page.parent.parent.name == "dots+other"
    assert "left out: " in (said := capsys.readouterr().out) and "begun: no finished seed" in said
    with pytest.raises(InputError, match="none of begun, empty has a finished seed"):
        write_reports([studies[1], made([], "empty")])


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


@pytest.mark.parametrize(
    "damage, why",
    [
        (lambda r: r["metrics"].pop("final"), "finished, but without its final accuracy"),
        (lambda r: r.pop("environment"), "incomplete (KeyError: 'environment')"),
        (lambda r: r["metrics"]["epochs"]["val/loss"].pop(), "its metrics have curves of different lengths"),
        (lambda r: r["metrics"]["final"].update({"val/acc": None}), "finished, but without its final accuracy"),
        (lambda r: r["metrics"]["final"].update({"val/acc": 95.0}), "an accuracy is no fraction"),
        (lambda r: r["metrics"]["epochs"]["val/loss"].__setitem__(1, None), "a metric is no finite number"),
    ],
)
def test_a_record_that_cannot_be_is_named_and_not_counted(study, damage, why):
    record = study.record(4)
    damage(record)
    study.record_path(4).write_text(json.dumps(record))
    page, (found,) = write_reports([study])
    assert found.n == 23 and f"Not counted: seeds/000004.json: {why}" in page.with_name("report.md").read_text()


def test_seeds_far_apart_make_a_report(made):
    study = made([0.8, 0.81])
    for seed in (42, 2**31, 2**63 - 1):
        add_seed(study, seed, 0.8)
    text = write_reports([study])[0].with_name("report.md").read_text()
    assert "seed=0,1,42,2147483648,9223372036854775807" in text


def test_held_streams_are_told(made):
    study = made([0.8, 0.81], config={**CONFIG, "streams": {"init": 0, "order": None}})
    assert "| streams held | init=0 |" in write_reports([study])[0].with_name("report.md").read_text()


def test_studies_too_small_to_compare_are_named(made):
    rng = np.random.default_rng(3)
    scratch = found_in(made(rng.normal(0.8, 0.02, 20), "scratch"))
    probe = found_in(made([0.8, 0.81, 0.8, 0.82], "probe", {**CONFIG, "backbone": {"name": "vit"}}))
    for told in (words(wording.pretraining([scratch, probe])), words(wording.spreads([scratch, probe]))):
        assert "probe has 4 finished seeds: at least 5 are needed" in told


def test_long_names_and_names_with_marks_make_a_report(made):
    studies = [made([0.8, 0.81, 0.82], f"a_rather_long_name_of_a_study_number_{i}") for i in range(8)]
    page, _ = write_reports(studies)
    assert page.exists() and len(page.parent.parent.name) < 255
    odd = made([0.8, 0.81, 0.8, 0.8, 0.82], "x|y a$\\foo$ `z`")
    assert write_reports([odd])[0].exists() and write_reports([odd, studies[0]])[0].exists()


def test_a_report_that_fails_leaves_the_one_before(study, monkeypatch):
    page, _ = write_reports([study])
    before = {path.name: path.read_bytes() for path in page.parent.iterdir()}
    add_seed(study, 24, 0.9)
    monkeypatch.setattr("seedspread.commands.report.latex_table", lambda several: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_reports([study])
    assert {path.name: path.read_bytes() for path in page.parent.iterdir()} == before
    assert {path.name for path in study.folder.iterdir()} <= {"study.yaml", "seeds", "correct", "report", "tensorboard"}


def test_a_report_that_fails_does_not_end_a_sweep(command, tmp_path, monkeypatch):
    monkeypatch.setattr("seedspread.report.study_page.write_report", lambda study: 1 / 0)
    quick = ("-m", "seed=0", "jobs=1", "experiment=digits", "trainer.max_epochs=1", "report=true", "model.width=4,8")
    code, out, _ = command(*quick)
    assert code == 0 and out.count("no report: ZeroDivisionError") == 2
    assert len(list((tmp_path / "results").glob("*/seeds/000000.json"))) == 2


def test_a_sweep_of_two_studies_reports_on_each_and_both_from_one_reading(command, tmp_path, monkeypatch):
    read, of = [], Scores.of
    monkeypatch.setattr(Scores, "of", lambda study: read.append(study.name) or of(study))
    quick = ("-m", "seed=0,1", "jobs=1", "experiment=digits", "trainer.max_epochs=1", "report=true", "model.width=4,8")
    code, out, _ = command(*quick)
    assert code == 0 and read == ["digits-width4", "digits-width8"]
    for name in (*read, "+".join(read)):
        assert (page := tmp_path / "results" / name / "report" / "index.html").exists() and f"report in {page}" in out


def test_damaged_predictions_leave_out_their_seed_only(study):
    whole = found_in(study)
    study.correct_path(3).write_bytes(b"torn")
    found = found_in(study)
    assert found.n == 24 and len(found.luck.seeds) == 23
    assert found.luck.variance.independent == pytest.approx(whole.luck.variance.independent, rel=0.2)
    text = write_reports([study])[0].with_name("report.md").read_text()
    assert "Without seed 3 of " in text
    assert "The predictions of 1 of 24 seeds are missing or damaged: seed 3." in text
    for path in (study.folder / "correct").iterdir():
        path.unlink()
    assert found_in(study).luck is None
    text = write_reports([study])[0].with_name("report.md").read_text()
    assert "the predictions of at least 5 seeds are needed" in text


def test_the_papers_row_stands_beside_the_same_setting_only(made, config):
    def study_of(name, *overrides):
        return made(
            [0.9, 0.91],
            name,
            study_identity(resolve_config(config("experiment=cifar_short", "trainer=cpu", *overrides))),
        )

    short = study_of("mine")
    text = write_reports([short])[0].with_name("report.md").read_text()
    assert "*the paper's* | *10,000* | *90.02 ± 0.23*" in text
    assert r"as in Picard (2021) & 10,000 & 90.02 $\pm$ 0.23" in latex_table([found_in(short)])
    assert list(pd.read_csv(short.folder / "report" / "table.csv")["source"]) == ["measured", "paper"]
    assert "90.70 ± 0.20" in results_table([found_in(study_of("longer", "experiment=cifar_long"))])
    for i, change in enumerate(("trainer.max_epochs=23", "optimizer.lr=0.1", "model.width=32", "streams.init=0")):
        assert "the paper's" not in results_table([found_in(study_of(f"cifar_short{i}", change))])
    named = made([0.9, 0.91], "imagenet_resnet50")
    assert "the paper's" not in results_table([found_in(named)])


def test_one_seed_and_few_seeds_say_what_cannot_be_said(made):
    one = found_in(made([0.8], "one"))
    assert "a spread needs more seeds" in wording.headline(one) and "One seed cannot say" in words(
        wording.distribution(one)
    )
    assert "1 seed is too few" in words(wording.black_swans(one))
    four = found_in(made([0.8, 0.81, 0.79, 0.8], "four"))
    assert "4 seeds are too few to bound the std" in words(wording.distribution(four))
    assert "too few to say how they are shaped" in words(wording.distribution(four))
    assert "4 seeds are too few" in words(wording.black_swans(four))
    for study in (one, four):
        assert write_reports([study.scores.study])


def test_a_single_epoch_is_drawn_as_a_block_within_its_axes(made):
    study = made([])
    for seed, accuracy in enumerate((0.7, 0.8, 0.9)):
        add_seed(study, seed, accuracy, epochs=1)
    for ax in figures.learning_curves([found_in(study)]).axes:
        (left, right), bands = ax.get_xlim(), ax.collections
        assert len(bands) == 2 and all(band.get_paths()[0].get_extents().width > 0 for band in bands)
        assert [tick for tick in ax.get_xticks() if left <= tick <= right] == [1]


@pytest.mark.parametrize("n", [2, 6, 12, 20])
def test_equal_scores_make_a_report(made, n):
    study = made([58 / EXAMPLES] * n)
    told = words([*wording.distribution(found_in(study)), *wording.black_swans(found_in(study))])
    assert f"all {n} seeds score 28.57 %" in told and "nan" not in told and write_reports([study])
    assert "are equal to tell" not in told and (f"all {n} scores are equal: no seed is surprising." in told) == (n >= 5)


def test_an_ordinary_sample_has_no_black_swan_and_an_outlier_is_one(made):
    scores = np.random.default_rng(0).normal(0.8, 0.015, 40)
    ordinary = words(wording.black_swans(found_in(made(scores, "ordinary"))))
    assert "no black swan" in ordinary and "fewer than one seed in 14 " in ordinary
    low = words(wording.black_swans(found_in(made([*scores, 0.6], "low"))))
    assert "Seed 40 stands out" in low and "points below the median" in low and "no black swan" not in low
    three = words(wording.black_swans(found_in(made([*scores[:17], 0.1, 0.1, 0.1], "three"))))
    assert "Seed 17-19 stand out" in three
    high = words(wording.black_swans(found_in(made([*scores, 0.95], "high"))))
    assert "Seed 40 stands out" in high and "points above the median" in high


def test_the_seed_of_the_title_is_ranked(study):
    assert "3407" not in words(wording.black_swans(found_in(study)))
    add_seed(study, 3407, 0.99)
    assert "Seed 3407, of the paper's title" in (told := words(wording.black_swans(found_in(study))))
    assert "0 of 25 seeds are better" in told


def test_a_skewed_sample_is_told_so(made):
    scores = 0.9 - np.random.default_rng(0).exponential(0.02, 200)
    told = words(wording.distribution(found_in(made(scores))))
    assert "not normally distributed" in told and "the tail of low scores is the longer one" in told


@pytest.mark.parametrize(
    "spread, says",
    [
        (0.004, "pretraining shrinks the spread"),
        (0.08, "with pretraining the spread is larger"),
        (0.02, "these seeds do not show a difference"),
    ],
)
def test_pretraining_is_judged_where_a_probe_and_a_scratch_study_are_given(made, spread, says):
    rng = np.random.default_rng(3)
    scratch = found_in(made(rng.normal(0.8, 0.02, 40), "scratch"))
    probe = found_in(made(rng.normal(0.8, spread, 40), "probe", {**CONFIG, "backbone": {"name": "vit"}}))
    assert says in words(wording.pretraining([scratch, probe]))
    assert "needs a study on a pretrained backbone" in words(wording.pretraining([scratch]))
    assert "needs a study trained from scratch" in words(wording.pretraining([probe]))


def with_norms(study, seed, largest, *, loss=None, status="finished"):
    """Give the record of `seed` the largest gradient norms of its epochs, of which the 90th percentile is half."""
    record = study.record(seed)
    lines = {"grad_norm/max": largest, "grad_norm/p90": [norm and norm / 2 for norm in largest]}
    lines |= {"train/loss": loss} if loss else {}
    record["metrics"]["epochs"] |= lines
    record["metrics"]["final"] |= {metric: line[-1] for metric, line in lines.items()}
    study.write({**record, "status": status, "reason": None if status == "finished" else "not finite"})


CALM = [2.0] * 20


@pytest.mark.parametrize(
    "norms, status, says",
    [
        (CALM, "finished", "These norms call for neither warm-up nor clipping."),
        (
            [9.0, *CALM[1:]],
            "finished",
            "Early norms of 1 over 5 times the typical call for warm-up: `schedule=warmup",
        ),
        ([*CALM[1:], 9.0], "finished", "Later norms of 1 over 5 times .* clipping: `trainer.gradient_clip_val=1`."),
        ([*CALM[:9], None], "diverged", "Of 4 seeds 1 diverged .seed 3.. Later norms of 1 over 5 times"),
        ([None], "diverged", "Of 4 seeds 1 diverged .seed 3.. Early norms of 1 over 5 times"),
    ],
    ids=["calm", "early", "late", "diverged late", "diverged at once"],
)
def test_gradient_norms_say_whether_warm_up_or_clipping_is_due(made, norms, status, says):
    study = made([])
    for seed in range(4):
        add_seed(study, seed, 0.8 + 0.01 * seed, epochs=len(norms) if seed == 3 else 20)
        with_norms(study, seed, norms if seed == 3 else CALM, status=status if seed == 3 else "finished")
    (told,) = wording.stability(found_in(study))
    assert "gradient norms is 1 (median over epochs and" in told and re.search(says, told)
    if status == "finished":
        assert f"the first 2 epochs is {max(norms[:2]):.1f} times that, of the later ones {max(norms[2:]):.1f}" in told
    page, _ = write_reports([study])
    assert "Is the training stable?" in page.read_text() and page.with_name("gradient_norms.png").exists()


def test_a_study_that_has_warm_up_and_clipping_is_told_to_change_them(made):
    config = {**CONFIG, "trainer": {"gradient_clip_val": 4.0}, "schedule": {"warmup": 2}}
    study = made([0.8], config=config)
    with_norms(study, 0, [9.0, *[2.0] * 6, 9.0])
    (told,) = wording.stability(found_in(study))
    assert "longer than the 2 epochs it has" in told and "gradient_clip_val=1` in place of 4." in told


def test_without_gradient_norms_unstable_seeds_say_how_to_record_them(made, study):
    assert wording.stability(found_in(study)) == []
    assert "Is the training stable?" not in write_reports([study])[0].read_text()
    unstable = made([0.8, 0.81, 0.82], name="unstable")
    add_seed(unstable, 3, 0.1, status="diverged")
    record = unstable.record(1)
    record["metrics"]["epochs"]["train/loss"] = [3.0, 2.0, 1.0, 2.1, 1.0, 0.9, 0.8, 0.7]
    unstable.write(record)
    (told,) = wording.stability(found_in(unstable))
    assert "of 4 seeds 1 diverged (seed 3) and the training loss of 1 rises again by half of its fall (seed 1)." in told
    assert "`callbacks=gradient_norms overwrite=true` records them" in told


def test_seeds_with_and_without_gradient_norms_make_one_report(study):
    for seed in (3, 5):
        with_norms(study, seed, [3.0] * 8)
    with_norms(study, 7, [None, *[4.0] * 7])  # watched from its second epoch on
    page, (found,) = write_reports([study])
    assert found.n == 24 and not found.scores.problems and len(found.scores.known("grad_norm/max")) == 2
    assert "(median over epochs and 2 seeds)" in page.read_text() and page.with_name("gradient_norms.svg").exists()
    seeds = pd.read_parquet(page.with_name("seeds.parquet")).set_index("seed")["grad_norm_max"]
    assert seeds[3] == 3 and seeds[7] == 4 and np.isnan(seeds[0])
    curves = pd.read_parquet(page.with_name("curves.parquet")).set_index(["seed", "epochs_trained"])
    assert np.isnan(curves.loc[(0, 1), "grad_norm_p90"]) and curves.loc[(5, 8), "grad_norm_p90"] == 1.5
    run = EventAccumulator(str(study.folder / "tensorboard")).Reload()
    assert [make_ndarray(event.tensor_proto).item() for event in run.Tensors("grad_norm_max/mean")] == [3.0] * 8
    beside, _ = write_reports([study, study])
    assert beside.with_name("gradient_norms.png").exists()


def test_several_studies_stand_side_by_side(made):
    rng = np.random.default_rng(3)
    narrow, wide = made(rng.normal(0.8, 0.005, 30), "narrow"), made(rng.normal(0.7, 0.04, 30), "wide")
    page, _ = write_reports([narrow, wide])
    assert page.parent.parent.name == "narrow+wide" and (page.parent / "spreads.png").exists()
    text = page.with_name("report.md").read_text()
    assert "they differ (Brown-Forsythe p < 0.001)" in text and "wide spreads more" in text
    assert len(pd.read_csv(page.with_name("table.csv"))) == 2
    assert (narrow.folder / "report" / "index.html").exists() and (wide.folder / "tensorboard").exists()


def test_names_and_reasons_are_text_not_markup(made):
    study = made([0.8, 0.81], "a_b_c")
    add_seed(study, 2, 0.1, status="failed", more={"reason": "<script>alert(1)</script> *x* | y"})
    page = write_reports([study])[0].read_text()
    assert "<script>" not in page and "&lt;script&gt;" in page and "a_b_c" in page and "<em>x</em>" not in page


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


# TensorBoard


def events_of(folder):
    return EventAccumulator(str(folder / "tensorboard"), size_guidance={"tensors": 0, "images": 0}).Reload()


def scalar(events, tag):
    return {event.step: float(make_ndarray(event.tensor_proto)) for event in events.Tensors(tag)}


def test_one_run_holds_the_bands_of_every_metric(study):
    write_reports([study])
    events, scores = events_of(study.folder), Scores.of(study)
    for metric, group in (("val/acc", "val_acc_percent"), ("train/loss", "train_loss")):
        curves = scores.curves[metric]
        for name, values in (
            ("mean", curves.mean(axis=0)),
            ("std", curves.std(axis=0, ddof=1)),
            ("min", curves.min(axis=0)),
            ("max", curves.max(axis=0)),
            ("mean_plus_std", curves.mean(axis=0) + curves.std(axis=0, ddof=1)),
        ):
            found = scalar(events, f"{group}/{name}")
            assert list(found) == list(range(1, 9)) and list(found.values()) == pytest.approx(values, rel=1e-6)
        below = scalar(events, f"{group}_from_mean/min")
        assert list(below.values()) == pytest.approx((curves - curves.mean(axis=0)).min(axis=0), rel=1e-5, abs=1e-6)
        assert len(events.Tensors(f"{group}/over_seeds")) == 8
    assert set(scalar(events, "val_acc_percent_last_epochs/mean")) < set(range(1, 9))
    done = scalar(events, "seeds_done/std")
    assert done[24] == pytest.approx(scores.accuracy.std(ddof=1)) and 1 not in done
    assert {"table", "how_to_repeat", "custom_scalars__config__"} <= set(events.Tags()["tensors"])
    assert set(events.Tags()["images"]) == {"learning_curves", "histogram"}


def charted(events):
    """The charts of the layout that TensorBoard takes, the last, after a look at whether each finds its scalars."""
    layout = Layout.FromString(events.Tensors("custom_scalars__config__")[-1].tensor_proto.string_val[0])
    series = [s for category in layout.category for chart in category.chart for s in chart.margin.series]
    for s in series:
        assert set(scalar(events, s.value)) >= set(scalar(events, s.lower)) == set(scalar(events, s.upper)) != set()
    return series


def test_every_margin_chart_finds_its_scalars(study):
    bands = RunningBands(study.folder)
    bands.add(Scores.of(study).accuracy[:9])
    bands.close()
    assert len(charted(events_of(study.folder))) == 2
    write_reports([study])
    assert len(charted(events_of(study.folder))) == 2 * (3 * 4 + 1)


def test_a_report_made_again_leaves_one_run(study):
    write_reports([study])
    add_seed(study, 24, 0.8)
    write_reports([study])
    assert len(list((study.folder / "tensorboard").iterdir())) == 1
    assert max(scalar(events_of(study.folder), "seeds_done/mean")) == 25


def test_while_a_sweep_runs_the_scores_so_far_are_told(study, monkeypatch):
    monkeypatch.setattr("seedspread.execution.monitor.SECONDS_BETWEEN_POINTS", 0.0)
    write_reports([study])
    with (
        study.claimed(25),
        SweepMonitor(study.folder, [24, 25], Progress.among(study.scan().records.values()), bands=True) as watch,
    ):
        add_seed(study, 24, 0.5)
        watch.missing()
        write_reports([study])  # in between
        add_seed(study, 25, 0.6)
        watch.missing()
    events = events_of(study.folder)
    assert scalar(events, "seeds_done/mean")[26] == pytest.approx(found_in(study).mean)
    assert len(charted(events)) == 2 * (3 * 4 + 1)  # of the report, which the running sweep leaves


@pytest.fixture(scope="module")
def chromium():
    if reason := browser.missing():
        pytest.skip(reason)
    with browser.browser() as driver:
        yield driver


def test_the_page_in_a_browser_shows_its_figures(study, chromium):
    page, _ = write_reports([study])
    chromium.get(page.resolve().as_uri())
    sizes = browser.drawn(chromium, "img", "[element.complete, element.naturalWidth]")
    assert len(sizes) == 7 and all(complete and width > 300 for complete, width in sizes)
    assert not [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]


def test_tensorboard_in_a_browser_draws_the_bands(study, chromium, tmp_path):
    write_reports([study])
    with browser.tensorboard(tmp_path / "results") as address:
        chromium.get(f"{address}#custom_scalars")

        def bands():
            return browser.drawn(chromium, "path.area", "element.getBBox().height")

        browser.wait_until(lambda: len(bands()) >= 6)
        assert all(height > 5 for height in bands())
        chromium.get("about:blank")
        chromium.get(f"{address}#images")
        browser.wait_until(lambda: any(browser.drawn(chromium, "img", "element.naturalWidth > 300")))


def test_the_notebook_runs(study):
    notebook = nbformat.read(ROOT / "notebooks" / "seed_variance.ipynb", as_version=4)
    write_reports([study])
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source += f"\nSTUDY = {str(study.folder)!r}"
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()
    pictures = [o for cell in notebook.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    assert len(pictures) >= 6
