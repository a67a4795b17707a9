"""Reproducing recorded seeds, varying one source of randomness, and the variance by source."""

import json
from pathlib import Path

import nbformat
import numpy as np
import pytest
from hydra import initialize_config_dir
from nbclient import NotebookClient

from seedspread.commands import sources
from seedspread.commands.reproduce import main
from seedspread.commands.sources import plan_sweeps
from seedspread.commands.train import train
from seedspread.config.errors import InputError
from seedspread.records.study import Study
from seedspread.report.sources import ALL, NOTHING, Source, sources_table
from seedspread.statistics.spread import Interval, std_interval
from seedspread.training.reproduction import compare_records, reproduce
from tests.conftest import CONF, ROOT


@pytest.fixture
def recorded(small, cache, monkeypatch):
    """A study of two seeds whose records hold the command that trains them."""
    overrides = ["experiment=digits", "trainer=cpu", "trainer.max_epochs=2", f"data.cache={cache}"]
    monkeypatch.setattr(
        "seedspread.training.build.reproduction_command",
        lambda seed: " ".join(["python -m src.train", f"seed={seed}", *overrides, "results=elsewhere"]),
    )
    for seed in (0, 3):
        cfg = small(f"seed={seed}")
        train(cfg)
    return Study.load(Path(cfg.results) / cfg.study)


def again(study, seed, *more):
    with initialize_config_dir(CONF, version_base="1.3"):
        return reproduce(study, seed, more)


def tamper(study, seed, change):
    record = study.record(seed)
    change(record)
    study.record_path(seed).write_text(json.dumps(record))


def test_a_recorded_seed_is_reproduced_and_the_study_left_as_it_is(recorded):
    before = {path: path.read_bytes() for path in recorded.folder.rglob("*") if path.is_file()}
    comparison = again(recorded, 3)
    assert comparison.differing == [] and "identical: weights, predictions and all 14 metrics" in comparison.told(3)
    assert {path: path.read_bytes() for path in recorded.folder.rglob("*") if path.is_file()} == before


def test_a_tampered_record_is_found(recorded):
    tamper(recorded, 3, lambda record: record["metrics"]["final"].update({"val/acc": 0.999}))
    told = again(recorded, 3).told(3)
    assert "DIFFERENT: accuracy 99.90 % recorded" in told and "the record was changed after it was written" in told


def test_where_bits_differ_the_likely_reason_is_told(recorded):
    def other_machine(record):
        record["weights_sha256"] = "0" * 64
        record["environment"]["packages"]["torch"] = "2.11.0"
        record["environment"]["threads"] = 8

    tamper(recorded, 0, other_machine)
    told = again(recorded, 0).told(0)
    assert "weights 000000000000... recorded" in told
    assert "packages.torch: 2.11.0 there" in told and "threads: 8 there, 1 here" in told


def test_a_record_without_a_command_is_reproduced_from_the_studys_config(small, monkeypatch):
    monkeypatch.setattr("seedspread.training.build.reproduction_command", lambda seed: None)
    cfg = small("schedule=cosine", "optimizer._target_=torch.optim.Adam", "~optimizer.momentum", "~optimizer.nesterov")
    train(cfg)
    study = Study.load(Path(cfg.results) / cfg.study)
    assert again(study, 0).differing == []


def test_only_places_can_be_named_anew(recorded):
    for override in ("threads=2", "trainer.precision=bf16-mixed", "data={}"):
        with pytest.raises(InputError, match="was trained with a .* of its own; name only places"):
            again(recorded, 3, override)
    assert again(recorded, 3, "trainer.enable_progress_bar=false").differing == []


def test_changed_predictions_are_found(recorded):
    path = recorded.correct_path(3)
    packed = np.load(path)
    np.save(path, ~packed)
    told = again(recorded, 3).told(3)
    assert "which test examples are right" in told and "changed after it was written: the network is the same" in told


def test_a_record_without_its_score_is_no_record(recorded):
    tamper(recorded, 3, lambda record: record["metrics"]["final"].pop("val/acc"))
    assert "finished, but without its final accuracy" in recorded.scan().problems["000003.json"]
    with pytest.raises(InputError, match="without its final accuracy"):
        again(recorded, 3)


def test_without_determinism_nothing_is_promised():
    environment = {"deterministic": False}
    one = {"status": "finished", "weights_sha256": "a" * 64, "predictions_sha256": "b" * 64, "data_sha256": "c"}
    one |= {"metrics": {"final": {"val/acc": 0.9}}, "environment": environment}
    other = {**one, "weights_sha256": "d" * 64, "metrics": {"final": {"val/acc": 0.91}}}
    comparison = compare_records(one, other)
    assert "accuracy 90.00 % recorded, 91.00 % now" in comparison.differing
    assert any("trainer.deterministic is off" in reason for reason in comparison.reasons)
    assert compare_records(one, one).differing == []


def test_what_has_no_result_is_refused(recorded):
    with pytest.raises(InputError, match="seed=7: .* has no record of it"):
        again(recorded, 7)
    tamper(recorded, 0, lambda record: record.update({"status": "failed", "reason": "out of luck"}))
    with pytest.raises(InputError, match="it failed \\(out of luck\\)"):
        again(recorded, 0)


def test_a_place_may_be_named_without_a_list_and_a_study_without_a_result_is_told(recorded, invoked):
    def ran(*arguments):
        return invoked(main, f"results={recorded.folder.parent}", f"study={recorded.name}", *arguments)

    code, _, err = ran("seed=3", "with='threads=2'")
    assert code == 1 and "with=[threads=2]: digits was trained with a threads of its own" in err
    for path in (recorded.folder / "seeds").iterdir():
        path.unlink()
    code, _, err = ran("n=1")
    assert code == 1 and "n=1: " in err and "has no seed with a result" in err


def test_the_command_exits_with_1_where_a_seed_differs(recorded, invoked):
    def ask(*arguments):
        return invoked(main, f"results={recorded.folder.parent}", *arguments)

    code, out, _ = ask("study=digits", "n=2")
    assert code == 0 and out.count("identical") == 2
    tamper(recorded, 3, lambda record: record["metrics"]["final"].update({"val/acc": 0.999}))
    assert ask("study=digits", "seed=3")[0] == 1
    for arguments, says in (([], "name a study and a seed"), (["study=digits", "n=9"], "has 2 recorded seeds")):
        code, _, err = ask(*arguments)
        assert code == 1 and says in err and len(err.strip().splitlines()) == 1


QUICK = ("experiment=digits", "trainer.max_epochs=1", "jobs=1")


def test_a_stream_is_swept_within_one_study(command, tmp_path):
    assert command("-m", "seed=0", "streams.order=range(0,3)", *QUICK)[0] == 0
    records = Study.load(tmp_path / "results" / "digits-order").scan().records
    assert [record["streams"]["order"] for record in records.values()] == [0, 1, 2]
    assert all(set(r["streams"].values()) - {r["streams"]["order"]} <= {0} for r in records.values())
    assert len({record["weights_sha256"] for record in records.values()}) == 3
    assert command("-m", "seed=0", *QUICK)[0] == 0
    whole = Study.load(tmp_path / "results" / "digits").record(0)
    assert whole["weights_sha256"] == records[0]["weights_sha256"]  # where all streams agree, so do the networks


def test_several_seeds_are_held_in_a_study_each(command, tmp_path):
    assert command("-m", "++seed=0,5", "++streams.init=7,8", *QUICK)[0] == 0
    held = Study.load(tmp_path / "results" / "digits-init-seed5").scan().records
    assert {seed: record["streams"] for seed, record in held.items()} == {
        seed: {"init": seed, "order": 5, "augment": 5, "other": 5} for seed in (7, 8)
    }
    assert (tmp_path / "results" / "digits-init").exists()


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["streams.init=0,1", "streams.order=0,1"], "one stream at a time"),
        (["streams.order=-1,0"], "streams.order=-1: a seed is a whole number"),
        (["streams.order=range(3,3)"], "no seeds"),
    ],
)
def test_streams_that_cannot_be_swept_are_refused(command, tmp_path, arguments, says):
    code, _, err = command("-m", *arguments, *QUICK)
    assert code == 1 and says in err and not list(tmp_path.glob("results/*/seeds/0*"))


def test_the_design_varies_one_source_at_a_time():
    design = plan_sweeps("digits", 5, ["init", "other"])
    assert design["order alone"] == ("digits-order", ["study=digits", "seed=0", "streams.order=range(0,5)"])
    assert design[ALL] == ("digits", ["study=digits", "seed=range(0,5)"])
    name, off = design[NOTHING]
    assert name == "digits-nothing" and "trainer.deterministic=false" in off
    assert {"streams.init=0", "streams.other=0"} < set(off)


def test_variances_by_source_are_those_of_the_scores():
    scores = np.random.default_rng(0).normal(95, 1, (2, 30))
    sources = [
        Source(varied, "s", 30, row.mean(), row.std(ddof=1), std_interval(row))
        for varied, row in zip(("init alone", ALL), scores, strict=True)
    ]
    share = scores[0].var(ddof=1) / scores[1].var(ddof=1)
    low, high = sources[0].variance_interval
    row = f"| {scores[0].var(ddof=1):.3f} ({low:.2f} to {high:.2f}) | {100 * share:.0f} % |"
    assert row in sources_table(sources) and "do not show whether sources add up" in sources_table(sources)
    assert sources[0].variance_interval == Interval(*(side**2 for side in std_interval(scores[0])))


def test_the_whole_design_runs_and_resumes(invoked, tmp_path, cache):
    fixed = [f"results={tmp_path}/results", f"data.cache={cache}", "trainer=cpu", "jobs=1", "report=false"]
    design = ["experiment=digits", "trainer.max_epochs=1", *fixed]
    code, out, err = invoked(sources.main, *design, "n=2")
    assert code == 0, err
    folder = tmp_path / "results" / "digits-sources"
    assert {path.name for path in folder.iterdir()} == {f"sources.{kind}" for kind in ("md", "csv", "png", "svg")}
    assert out.count("| nothing, determinism off | 2 |") == 1
    for given in ("seed=3", "++seed=3", "++streams.init=1"):
        code, _, err = invoked(sources.main, *design, given)
        assert code == 1 and f"{given}: the design sets seeds and streams" in err


def test_the_notebook_on_generators_runs():
    notebook = nbformat.read(ROOT / "notebooks" / "random_number_generators.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()
    said = "".join(o.get("text", "") for cell in notebook.cells for o in cell.get("outputs", []))
    assert "keyed by picture        0, 1, 2 workers alike: True" in said and "the same bits: True" in said
