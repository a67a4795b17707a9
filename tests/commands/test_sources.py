"""`seedspread sources`: one source of randomness varied at a time, and its variance."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from seedspread.commands import sources
from seedspread.commands.sources import plan_studies
from seedspread.config.streams import STREAMS
from seedspread.records.study import Study
from seedspread.report.document import parts_to_markdown
from seedspread.report.sources import ALL, NOTHING, SPLIT, Source, sources_sentence, sources_table
from seedspread.statistics import Interval, std_interval


def test_the_design_varies_one_source_at_a_time():
    design = plan_studies("digits", ["init", "order", "augment", "other"], [])
    assert design["order alone"] == ("digits-order", ["streams.init=0", "streams.augment=0", "streams.other=0"])
    assert design[ALL] == ("digits", []) and SPLIT not in design
    name, off = design[NOTHING]
    assert name == "digits-nothing" and "trainer.deterministic=false" in off
    assert {"streams.init=0", "streams.order=0", "streams.augment=0", "streams.other=0"} < set(off)


def test_a_split_is_a_source_where_training_data_are_split():
    design = plan_studies("digits", STREAMS, ["data.validation=0.1"])
    held = [f"streams.{name}=0" for name in ("init", "order", "augment", "other")]
    assert design[SPLIT] == ("digits-split", ["data.validation=0.1", *held])
    assert design[ALL] == ("digits-all", ["data.validation=0.1"]), "not the study of whoever trains on all examples"
    assert all("data.validation=0.1" in overrides for _, overrides in design.values())
    assert all(
        ("streams.split=0" in overrides) == (varied not in (SPLIT, ALL)) for varied, (_, overrides) in design.items()
    )


def test_variances_by_source_are_those_of_the_scores():
    scores = np.random.default_rng(0).normal(95, 1, (2, 30))
    sources = [
        Source(varied, "s", 30, row.mean(), row.std(ddof=1), std_interval(row))
        for varied, row in zip(("init alone", ALL), scores, strict=True)
    ]
    share = scores[0].var(ddof=1) / scores[1].var(ddof=1)
    low, high = sources[0].variance_interval
    row = f"| {scores[0].var(ddof=1):.3f} ({low:.2f} to {high:.2f}) | {100 * share:.0f} % |"
    assert row in parts_to_markdown(sources_table(sources))
    assert "is unknown: these runs are too few" in sources_sentence(sources)
    assert sources[0].variance_interval == Interval(*(side**2 for side in std_interval(scores[0])))


@pytest.fixture
def design(invoked, tmp_path, cache):
    """Run `seedspread sources` on one epoch of digits; exit code, standard output, standard error."""
    fixed = [f"results={tmp_path}/results", f"data.cache={cache}", "trainer=cpu", "jobs=1"]
    quick = ["experiment=digits", "trainer.max_epochs=1", "model.width=4"]
    return lambda *arguments: invoked(sources.main, *quick, *fixed, *arguments)


def test_the_whole_design_runs_in_a_few_lines_and_resumes(design, tmp_path):
    assert design("n=2")[0] == 0
    results = tmp_path / "results"
    before = {path: path.stat().st_mtime_ns for path in results.glob("*/seeds/*.json")}
    code, out, err = design("n=3")
    assert code == 0 and not err
    assert {path: path.stat().st_mtime_ns for path in before} == before and len(before) == 12
    assert "digits-order: 2 of 3 seeds have their records, 1 to train" in out
    assert len(out.splitlines()) <= 28 and "next:" not in out
    assert out.count("| nothing, determinism off | 3 |") == 1
    assert {path.name for path in results.iterdir()} == {
        "digits-all", "digits-init", "digits-order", "digits-augment", "digits-split", "digits-nothing",
        "digits-sources",
    }  # fmt: skip
    assert {path.name for path in (results / "digits-sources").iterdir()} == {
        "index.html",
        *(f"sources.{kind}" for kind in ("md", "csv", "png", "svg")),
    }
    held = Study.load(results / "digits-order").scan().records
    assert [set(record.streams.values()) for record in held.values()] == [{0}, {0, 1}, {0, 2}]
    assert [record.streams["order"] for record in held.values()] == [0, 1, 2]
    assert len({record.split_sha256 for record in held.values()}) == 1
    split = Study.load(results / "digits-split").scan().records
    assert len({record.split_sha256 for record in split.values()}) == 3
    rows = pd.read_csv(results / "digits-sources" / "sources.csv").set_index("varied")
    assert set(rows["metric"]) == {"test/acc"}
    assert rows["mean"][SPLIT] == pytest.approx(100 * np.mean([record.final["test/acc"] for record in split.values()]))
    validation = 100 * np.array([record.final["val/acc"] for record in split.values()])
    half = stats.t.ppf(0.975, 2) * validation.std(ddof=1) * math.sqrt(1 / 3 + 130 / 1167)
    assert rows["validation_high"][SPLIT] == pytest.approx(validation.mean() + half)
    assert (
        rows["validation_low"].count() == 1
        and "Nadeau and Bengio" in (results / "digits-sources/index.html").read_text()
    )


def test_without_validation_data_there_is_no_split(design, tmp_path):
    assert design("n=2", "data.validation=null")[0] == 0
    found = {path.name: Study.load(path) for path in (tmp_path / "results").iterdir() if (path / "study.yaml").exists()}
    assert set(found) == {"digits", "digits-init", "digits-order", "digits-augment", "digits-nothing"}
    assert not any("split" in study.config["streams"] for study in found.values())
    assert set(pd.read_csv(tmp_path / "results/digits-sources/sources.csv")["metric"]) == {"val/acc"}


@pytest.mark.parametrize("given", ["seed=3", "++seed=3", "++streams.init=1"])
def test_seeds_and_streams_are_those_of_the_design(design, tmp_path, given):
    code, _, err = design(given)
    assert code == 1 and f"{given}: the design sets seeds and streams" in err
    assert not list(tmp_path.glob("results/*"))


def test_failed_runs_of_a_design_are_named_without_a_traceback(design, tmp_path):
    fault = ("_target_=tests.faults.Raise", "seeds=[1]", f"unless={tmp_path}/mended")
    code, out, err = design("n=2", *(f"+callbacks.fault.{setting}" for setting in fault))
    assert code == 1 and "Traceback" not in out + err
    assert "digits-order: 1 of 2 seeds failed; the same command tries them again" in err
    assert len(err.splitlines()) == 6, "each study has its line"


def test_the_split_of_other_peoples_data_is_a_source_of_its_own(invoked, tmp_path):
    """Their `setup` may split by the stream: where it is not held, every source would have its spread."""
    overrides = ("experiment=diabetes", "n=2", "trainer=cpu", "trainer.max_epochs=1", f"results={tmp_path}", "jobs=1")
    assert invoked(sources.main, *overrides)[0] == 0
    table = pd.read_csv(tmp_path / "diabetes-sources" / "sources.csv").set_index("varied")
    assert (
        table.loc[SPLIT, "std"] > 0 and table.loc["augmentation alone", "std"] == 0 and table.loc[NOTHING, "std"] == 0
    )


def test_butterflies_meet_other_seeds(design, tmp_path):
    code, out, err = design("n=3", "butterfly=[1,0]", "trainer.max_epochs=2")
    results = tmp_path / "results"
    assert code == 0 and not err
    studies = ["digits-held", "digits-butterfly-0", "digits-butterfly-1", "digits-all", "digits-init"]
    assert {path.name for path in results.iterdir()} == {*studies, "digits-butterfly"}
    assert {path.name for path in (results / "digits-butterfly").iterdir()} == {
        "index.html",
        *(f"butterfly.{kind}" for kind in ("md", "csv", "png", "svg")),
    }
    held, *others = (Study.load(results / name).scan().records for name in studies)
    assert len({record.weights_sha256 for record in held.values()}) == 1 and len(held) == 2
    assert "Control: 2 runs without a flip end with the same weights, bit for bit" in out
    assert [len({record.flipped for record in records.values()}) for records in others] == [3, 3, 1, 1]
    for records in others[:2]:
        assert all(record.streams == held[0].streams for record in records.values())
    assert {record.split_sha256 for record in others[0].values()} == {held[0].split_sha256}
    rows = pd.read_csv(results / "digits-butterfly" / "butterfly.csv").set_index("varied")
    assert rows["epoch"].dropna().to_dict() == {"one bit before the first step": 0, "one bit after epoch 1": 1}
    for varied, records in zip(["one bit before the first step", "one bit after epoch 1", ALL], others, strict=False):
        scores = [100 * record.final["test/acc"] for record in records.values()]
        assert rows.loc[varied, "std"] == pytest.approx(np.std(scores, ddof=1))
    known = [record.predictions_sha256 for record in others[1].values()]
    assert rows.loc["one bit after epoch 1", "without_effect"] == known.count(held[0].predictions_sha256)
    before = {path: path.stat().st_mtime_ns for path in results.glob("*/seeds/*.json")}
    assert design("n=3", "butterfly=1", "trainer.max_epochs=2")[0] == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before, "what is recorded is not trained again"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("butterfly=[0,1]", "butterfly=1: choose an epoch below trainer.max_epochs=1"),
        ("butterfly=[0.5]", "butterfly=[0.5]: name whole epochs, for example butterfly=[0,5]"),
        ("butterfly=[]", "butterfly=[]: name whole epochs, for example butterfly=[0,5]"),
        ("butterfly=-1", "butterfly=-1: epochs, for example butterfly=[0,5]"),
        ("butterfly=late", "butterfly=late: epochs, for example butterfly=[0,5]"),
    ],
)
def test_epochs_that_cannot_be_are_refused_before_anything_is_trained(design, tmp_path, given, says):
    code, _, err = design(given)
    assert code == 1 and says in err and len(err.strip().splitlines()) == 1
    assert not list(tmp_path.glob("results/*"))
