"""Seeds with validation data: the test set is scored once, at the end."""

from pathlib import Path

import pytest

from seedspread.commands.train import train
from seedspread.data.loader import ScoreLoader
from seedspread.records.study import Study
from tests.data.pictures import files, folder
from tests.data.test_splits import three_parts
from tests.training.inline import train_seeds

SPLIT = "data.validation=0.1"


def study_of(cfg):
    return Study.load(Path(cfg.results) / cfg.study)


def test_epochs_are_scored_on_validation_data_and_the_test_set_once_at_the_end(small, monkeypatch):
    scored = []
    batches = ScoreLoader.__iter__

    def counted(self):
        scored.append(0)
        for batch in batches(self):
            scored[-1] += len(batch[1])
            yield batch

    monkeypatch.setattr(ScoreLoader, "__iter__", counted)
    cfg = small("study=split", "seed=3", SPLIT)
    record, study = train(cfg), study_of(cfg)
    assert scored == [130, 130, 500]
    assert (record.train_examples, record.validation_examples, record.test_examples) == (1167, 130, 500)
    assert list(record.curves) == ["train/loss", "train/acc", "val/loss", "val/acc"] and record.epochs == [0, 1]
    right = study.predictions(3) == study.read_index().labels
    assert record.final["test/acc"] == right.mean() and len(right) == 500
    assert record.final["val/acc"] * 130 == pytest.approx(round(record.final["val/acc"] * 130))
    assert 0 < record.final["test/loss"] < 5

    whole = train(small("study=whole", "seed=3"))
    assert whole.validation_examples is None and whole.split_sha256 is None and "test/acc" not in whole.final
    assert study_of(small("study=whole")).read_index().equals(study.read_index())


def test_a_seed_repeats_and_another_split_moves_it(small):
    records = [train(small(f"study={i}", SPLIT, *own)) for i, own in enumerate([[], [], ["streams.split=9"]])]
    assert records[0].final == records[1].final and records[0].weights_sha256 == records[1].weights_sha256
    assert records[0].split_sha256 == records[1].split_sha256 != records[2].split_sha256
    assert records[2].streams == {**records[0].streams, "split": 9} and records[0].data_sha256 == records[2].data_sha256
    assert records[0].weights_sha256 != records[2].weights_sha256


def test_a_seed_that_diverges_is_not_scored_on_the_test_set(small):
    cfg = small("study=wild", SPLIT, "optimizer.lr=1e30")
    record = train(cfg)
    assert record.status == "diverged" and "test/acc" not in record.final and record.test_examples is None
    assert study_of(cfg).record(0) == record and not study_of(cfg).examples_path(0).exists()


@pytest.mark.parametrize("own", [False, True], ids=["drawn for each seed", "a set of the data's own"])
def test_a_stack_scores_each_head_on_its_own_validation_data(probe, tmp_path, own):
    split = "data.validation=6"
    if own:
        contents = {**files(train=12, test=4, classes="ab"), **three_parts()}
        split = f"data.source={folder(tmp_path / 'in', contents)}"
    for name, stack in (("alone", 1), ("stack", 3)):
        assert train_seeds(probe(f"study={name}", f"stack={stack}", split), range(3)) == 0
    alone, stacked = (study_of(probe(f"study={name}")) for name in ("alone", "stack"))
    for seed in range(3):
        one, other = alone.record(seed), stacked.record(seed)
        for name in ("weights_sha256", "predictions_sha256", "epochs", "split_sha256", "validation_examples"):
            assert getattr(one, name) == getattr(other, name), name
        for name, score in one.final.items():  # the mean of a stack's losses is summed in another order
            assert other.final[name] == pytest.approx(score, rel=1e-6 if "loss" in name else 0, abs=0), name
        right = stacked.predictions(seed) == stacked.read_index().labels
        assert other.final["test/acc"] == right.mean() and other.stacked == 3
    assert len({stacked.record(seed).split_sha256 for seed in range(3)}) == (1 if own else 3)
