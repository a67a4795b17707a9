"""Reproducing recorded seeds."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hydra import initialize_config_dir

from seedspread.commands.reproduce import main
from seedspread.commands.train import train
from seedspread.config.errors import InputError
from seedspread.records.examples import pack_examples
from seedspread.records.study import Study
from seedspread.training.reproduction import compare_records, reproduce
from tests.conftest import CONF
from tests.synthetic import make_record


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
    record = json.loads(study.record_path(seed).read_bytes())
    change(record)
    study.record_path(seed).write_text(json.dumps(record))


def test_a_recorded_seed_is_reproduced_and_the_study_left_as_it_is(recorded):
    before = {path: path.read_bytes() for path in recorded.folder.rglob("*") if path.is_file()}
    comparison = again(recorded, 3)
    assert comparison.differing == [] and "identical: weights, predictions and all 14 metrics" in comparison.describe(3)
    assert {path: path.read_bytes() for path in recorded.folder.rglob("*") if path.is_file()} == before


def test_a_tampered_record_is_found(recorded):
    tamper(recorded, 3, lambda record: record["final"].update({"val/acc": 0.999}))
    text = again(recorded, 3).describe(3)
    assert "DIFFERENT: val/acc 99.90 % recorded" in text and "the record was changed after it was written" in text


def test_where_bits_differ_the_likely_reason_is_shown(recorded):
    def other_machine(record):
        record["weights_sha256"] = "0" * 64
        record["environment"]["packages"]["torch"] = "2.11.0"
        record["environment"]["threads"] = 8

    tamper(recorded, 0, other_machine)
    text = again(recorded, 0).describe(0)
    assert "weights 000000000000... recorded" in text
    assert "packages.torch: 2.11.0 recorded" in text and "threads: 8 recorded, 1 now" in text


def test_a_record_without_a_command_is_reproduced_from_the_studys_config(small, monkeypatch):
    monkeypatch.setattr("seedspread.training.build.reproduction_command", lambda seed: None)
    cfg = small("schedule=cosine", "optimizer._target_=torch.optim.Adam", "~optimizer.momentum", "~optimizer.nesterov")
    train(cfg)
    study = Study.load(Path(cfg.results) / cfg.study)
    assert again(study, 0).differing == []


def test_with_takes_paths_only(recorded):
    for override in ("threads=2", "trainer.precision=bf16-mixed", "data={}"):
        with pytest.raises(InputError, match="stores its own .*; with= takes paths only"):
            again(recorded, 3, override)
    assert again(recorded, 3, "trainer.enable_progress_bar=false").differing == []


def test_changed_predictions_are_found(recorded):
    recorded.examples_path(3).write_bytes(pack_examples(9 - recorded.predictions(3), 10))
    text = again(recorded, 3).describe(3)
    assert "the predictions (" in text and "changed after it was written: the network is the same" in text


def test_a_seed_with_probabilities_is_reproduced_with_them(recorded, small):
    train(small("seed=3", "overwrite=true", "examples.probabilities=float16"))
    assert again(recorded, 3).differing == []
    kept = recorded.probabilities(3)
    recorded.examples_path(3).write_bytes(pack_examples(recorded.predictions(3), 10, probabilities=kept[:, ::-1]))
    assert "the predictions (" in again(recorded, 3).describe(3)


def test_a_record_without_its_score_is_no_record(recorded):
    tamper(recorded, 3, lambda record: record["final"].pop("val/acc"))
    assert "finished, but without its final val/acc" in recorded.scan().problems["000003.json"]
    with pytest.raises(InputError, match="without its final val/acc"):
        again(recorded, 3)


def test_without_determinism_differences_are_expected():
    one = make_record(Study(Path("digits"), {}), 3, environment={"deterministic": False})
    one = replace(one, final={"val/acc": 0.9})
    other = replace(one, weights_sha256="d" * 64, final={"val/acc": 0.91})
    comparison = compare_records(one, other)
    assert "val/acc 90.00 % recorded, 91.00 % now" in comparison.differing
    assert any("trainer.deterministic is off" in reason for reason in comparison.reasons)
    assert compare_records(one, one).differing == []


def test_a_seed_without_a_result_is_refused(recorded):
    with pytest.raises(InputError, match="seed=7: .* has no record of it"):
        again(recorded, 7)
    tamper(recorded, 0, lambda record: record.update({"status": "failed", "reason": "out of luck"}))
    with pytest.raises(InputError, match="it failed \\(out of luck\\)"):
        again(recorded, 0)


def test_with_takes_a_string_and_a_study_without_results_is_refused(recorded, invoked):
    def ran(*arguments):
        return invoked(main, f"results={recorded.folder.parent}", f"study={recorded.name}", *arguments)

    code, _, err = ran("seed=3", "with='threads=2'")
    assert code == 1 and "with=[threads=2]: digits stores its own threads" in err
    for path in (recorded.folder / "seeds").iterdir():
        path.unlink()
    code, _, err = ran("n=1")
    assert code == 1 and "n=1: " in err and "has no seed with a result" in err


def test_the_command_exits_with_1_where_a_seed_differs(recorded, invoked):
    def ask(*arguments):
        return invoked(main, f"results={recorded.folder.parent}", *arguments)

    code, out, _ = ask("study=digits", "n=2")
    assert code == 0 and out.count("identical") == 2
    tamper(recorded, 3, lambda record: record["final"].update({"val/acc": 0.999}))
    assert ask("study=digits", "seed=3")[0] == 1
    for arguments, says in (([], "name a study and a seed"), (["study=digits", "n=9"], "has 2 recorded seeds")):
        code, _, err = ask(*arguments)
        assert code == 1 and says in err and len(err.strip().splitlines()) == 1
