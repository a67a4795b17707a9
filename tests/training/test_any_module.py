"""Modules that know nothing of seeds train as they are: three ordinary ones, their draws set from outside."""

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, WeightedRandomSampler, get_worker_info

from seedspread.commands.train import train
from seedspread.config.errors import InputError
from seedspread.config.streams import Streams
from seedspread.examples.multilabel import TopicData, TopicTagger
from seedspread.records.scores import Scores
from seedspread.records.study import Study, study_folder
from seedspread.training import run as training_run
from seedspread.training.build import open_study
from seedspread.training.reproduction import reproduce
from seedspread.training.seeded_loaders import SeededScoring, SeededTraining
from tests.conftest import CONF
from tests.training.test_resume import EVERY_STEP, Interruption

EXAMPLES = "seedspread.examples"
MODULES = {
    "diabetes": (
        f"module._target_={EXAMPLES}.diabetes.DiabetesRegressor", f"data._target_={EXAMPLES}.diabetes.DiabetesData",
        "metric.name=val/rmse", "trainer.max_epochs=3",
    ),
    "docstrings": (
        f"module._target_={EXAMPLES}.docstrings.DocstringClassifier", "+module.words=200", "+module.patience=1",
        f"data._target_={EXAMPLES}.docstrings.DocstringData", "+data.words=200", "+data.each=60", "data.batch_size=16",
        "trainer.max_epochs=4", "trainer.log_every_n_steps=4",
    ),
    "topics": (
        f"module._target_={EXAMPLES}.multilabel.TopicTagger", f"data._target_={EXAMPLES}.multilabel.TopicData",
        "metric.name=val/f1", "data.batch_size=256", "trainer.max_epochs=3", "trainer.log_every_n_steps=1",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The record of seed 3 of a module, with more settings; each trained once for all tests."""
    results, records = tmp_path_factory.mktemp("any"), {}

    def run(name, *more):
        if (name, *more) not in records:
            study = f"study=s{len(records)}"
            records[name, *more] = train(settings(name, f"results={results}", study, *more))
        return records[name, *more]

    return run


def settings(name, *more):
    with initialize_config_dir(CONF, version_base="1.3"):
        return compose("train", ["seed=3", "trainer=cpu", *MODULES[name], *more], return_hydra_config=True)


def same(one, other):
    fields = ("weights_sha256", "predictions_sha256", "epochs", "steps", "curves", "final", "status")
    return [field for field in fields if getattr(one, field) != getattr(other, field)] == []


@pytest.mark.parametrize("name", MODULES)
def test_all_that_is_logged_is_recorded_where_it_was_logged(trained, name):
    record = trained(name)
    expected = {
        "diabetes": {"train/loss", "val/loss", "val/rmse"},
        "docstrings": {"train/loss_step", "train/loss_epoch", "val/loss", "val/acc"},
        "topics": {"train/loss", "val/loss", "val/f1"},
    }[name]
    assert set(record.curves) == expected and record.precision == "32-true"
    test = {"diabetes": "test/rmse", "docstrings": "test/acc", "topics": "test/f1"}[name]
    assert set(record.final) == expected | {test}
    if name == "diabetes":  # each epoch once, at its end
        assert record.epochs == [0, 1, 2] and record.steps == [8, 17, 26]
    if name == "topics":  # twelve steps an epoch of 2,400 examples in 256, the last of which is dropped
        assert record.steps == list(range(27)) and record.epochs == [step // 9 for step in range(27)]
        assert [step for step, f1 in zip(record.steps, record.curves["val/f1"], strict=True) if f1] == [8, 17, 26]


@pytest.mark.parametrize(
    "name, steps", [("diabetes", (1, 8, 9, 14, 26)), ("docstrings", (5, 11, 12)), ("topics", (4, 9, 20))]
)
def test_killed_at_any_step_it_resumes_to_the_same_bits(trained, name, steps, tmp_path, monkeypatch):
    whole, fit = trained(name), training_run.fit
    for step in steps:
        cfg = settings(name, f"results={tmp_path}", f"study=s{step}", EVERY_STEP)
        with monkeypatch.context() as patch:
            patch.setattr(
                training_run, "fit", lambda c, m, d, cb, *rest, s=step: fit(c, m, d, [*cb, Interruption(s)], *rest)
            )
            with pytest.raises(RuntimeError, match="interrupted"):
                train(cfg)
        record = train(settings(name, f"results={tmp_path}", f"study=s{step}"))
        assert record.resumed_from and same(record, whole), step


def test_each_stream_moves_what_draws_from_it_and_nothing_else(trained):
    """Diabetes has no transforms, the sentences are split by a generator of their own."""
    moved = {
        name: {
            stream
            for stream in ("init", "order", "augment", "other", "split")
            if trained(name, f"streams.{stream}=5").weights_sha256 != trained(name).weights_sha256
        }
        for name in ("diabetes", "docstrings")
    }
    assert moved == {
        "diabetes": {"init", "order", "other", "split"},
        "docstrings": {"init", "order", "augment", "other"},
    }


@pytest.mark.parametrize("name, workers", [("docstrings", 1), ("docstrings", 2), ("topics", 2)])
def test_the_number_of_workers_changes_nothing(trained, name, workers):
    assert same(trained(name, f"+data.num_workers={workers}"), trained(name))


def test_a_metric_that_is_not_logged_is_refused_with_those_that_are(tmp_path):
    with pytest.raises(InputError, match="metric.name=val/mae: the module does not log it; it logs val/loss, val/rmse"):
        train(settings("diabetes", f"results={tmp_path}", "study=no", "metric.name=val/mae"))


def test_settings_of_the_classifier_and_data_without_a_name_are_refused(command):
    target = MODULES["diabetes"]
    code, _, err = command("optimizer.lr=0.1", "study=x", *target)
    assert code == 1 and "optimizer.lr=0.1: seedspread.examples.diabetes.DiabetesRegressor has its own" in err
    code, _, err = command(*target)
    assert code == 1 and "name the study, for example study=mine" in err


def test_early_stopping_checks_every_few_epochs_and_runs_by_steps(tmp_path):
    short = train(settings("docstrings", f"results={tmp_path}", "study=a", "+module.lr=0.0", "trainer.max_epochs=9"))
    assert short.status == "finished" and max(short.epochs) == 1  # patience 1
    few = train(settings("topics", f"results={tmp_path}", "study=b", "+trainer.check_val_every_n_epoch=2",
                         "trainer.max_epochs=4", "trainer.log_every_n_steps=50"))  # fmt: skip
    assert few.epochs == [1, 3] and few.steps == [17, 35]
    by_steps = ("trainer.max_epochs=null", "trainer.max_steps=20", "+trainer.check_val_every_n_epoch=null")
    steps = train(settings("topics", f"results={tmp_path}", "study=c", *by_steps, "+trainer.val_check_interval=5"))
    scored = [step for step, f1 in zip(steps.steps, steps.curves["val/f1"], strict=True) if f1 is not None]
    assert steps.steps == list(range(20)) and scored == [4, 9, 14, 19]


class Noisy(Dataset):
    """Examples that draw from all three global generators."""

    def __len__(self):
        return 24

    def __getitem__(self, index):
        return torch.tensor([index, random.random(), np.random.rand(), torch.rand(()).item()])


def batches(loader, epoch=0, kind=SeededTraining, seed=1):
    seeded = kind(loader, Streams.of(seed), *([None] if kind is SeededTraining else []))
    if kind is SeededTraining:
        seeded.set_epoch(epoch)
    return torch.stack(list(seeded))


def test_examples_draw_by_epoch_and_number_alone():
    first = batches(DataLoader(Noisy(), batch_size=4, shuffle=True))
    again = batches(DataLoader(Noisy(), batch_size=4, shuffle=True, num_workers=2))
    assert torch.equal(first, again)
    other, second = (
        batches(DataLoader(Noisy(), 4, shuffle=True), seed=2),
        batches(DataLoader(Noisy(), 4, shuffle=True), 1),
    )

    def by_number(parts):
        flat = parts.reshape(-1, 4)
        return flat[flat[:, 0].argsort()]

    assert sorted(first.reshape(-1, 4)[:, 0].tolist()) == list(range(24))
    for moved in (other, second):  # another order, and other draws for each example
        assert not torch.equal(first[..., 0], moved[..., 0])
        assert not (by_number(first)[:, 1:] == by_number(moved)[:, 1:]).any()
    larger = batches(DataLoader(Noisy(), 8, shuffle=True))  # the same draws in other batches
    assert torch.equal(by_number(larger), by_number(first))
    scored = [batches(DataLoader(Noisy(), 4), kind=SeededScoring) for _ in range(2)]
    assert torch.equal(*scored) and not (by_number(scored[0])[:, 1:] == by_number(first)[:, 1:]).any()


def test_loading_leaves_the_generators_of_training_alone():
    random.seed(7), np.random.seed(7), torch.manual_seed(7)
    batches(DataLoader(Noisy(), 4, shuffle=True))
    drawn = random.random(), np.random.rand(), torch.rand(()).item()
    random.seed(7), np.random.seed(7), torch.manual_seed(7)
    assert drawn == (random.random(), np.random.rand(), torch.rand(()).item())


@pytest.mark.parametrize("sampler", [
    lambda: {"sampler": RandomSampler(range(24), generator=torch.Generator().manual_seed(4))},
    lambda: {"sampler": WeightedRandomSampler(torch.ones(24), 24)},
    lambda: {"shuffle": True, "collate_fn": lambda examples: torch.stack(examples) + torch.rand(())},
], ids=["with a generator of its own", "weighted", "a collate function that draws"])  # fmt: skip
def test_any_sampler_and_collate_function_follow_the_seed(sampler):
    one, again, other = (batches(DataLoader(Noisy(), 4, **sampler()), seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)


class Flow(IterableDataset):
    def __iter__(self):
        for number in range(12):
            yield torch.tensor([number, random.random(), torch.rand(()).item()])


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_of_examples_follows_epoch_and_worker(workers):
    def drawn(epoch, seed=1):
        return batches(DataLoader(Flow(), batch_size=3, num_workers=workers), epoch, seed=seed)

    one, again, second, other = drawn(0), drawn(0), drawn(1), drawn(0, seed=2)
    assert torch.equal(one, again) and not torch.equal(one, second) and not torch.equal(one, other)


def test_a_run_within_an_epoch_resumes_behind_the_batches_that_are_done():
    for dataset in (Noisy(), Flow()):
        whole = batches(loader := DataLoader(dataset, 3, shuffle=None if isinstance(dataset, Flow) else True), 2)
        resumed = SeededTraining(loader, Streams.of(1), None)
        resumed.load_state_dict({"epoch": 2, "batches_done": 2})
        assert torch.equal(torch.stack(list(resumed)), whole[2:])
        assert len(list(resumed)) == len(whole)  # the next epoch is whole


def test_what_a_module_says_of_single_examples_is_kept(tmp_path):
    class_ = "tests.training.test_any_module.Telling"
    results = f"results={tmp_path}"
    record = train(settings("topics", results, "study=told", f"module._target_={class_}", "trainer.max_epochs=1"))
    study = Study.load(study_folder(str(tmp_path), "told"))
    told = study.examples(3)
    assert record.test_examples == 5 and told["scores"].tolist() == [0.5] * 5 and record.predictions_sha256


class Telling(TopicTagger):
    def example_results(self):
        return {"scores": torch.full((5,), 0.5)}


@pytest.mark.slow
@pytest.mark.parametrize("name, other", [("docstrings", ()), ("digits", ("experiment=digits", "trainer.max_epochs=2"))])
def test_two_ranks_train_one_seed_to_the_same_bits_also_when_resumed(name, other, tmp_path, monkeypatch):
    """Two processes over gloo; each draws its own dropout, takes its share of the order, and scores all examples."""

    def cfg(study, *more):
        given = other or MODULES[name]
        with initialize_config_dir(CONF, version_base="1.3"):
            fixed = ["seed=3", "trainer=cpu", f"results={tmp_path}", f"study={study}", "trainer.devices=2"]
            return compose("train", [*fixed, "trainer.strategy=ddp", *given, *more], return_hydra_config=True)

    one, again = train(cfg("one")), train(cfg("again"))
    assert same(one, again) and one.status == "finished" and "LOCAL_RANK" not in os.environ
    alone = train(cfg("alone", "trainer.devices=1", "trainer.strategy=auto"))
    assert alone.weights_sha256 != one.weights_sha256 and set(alone.final) == set(one.final)
    fit = training_run.fit
    with monkeypatch.context() as patch:
        stop = Interruption(3)
        patch.setattr(training_run, "fit", lambda c, m, d, cb, *rest: fit(c, m, d, [*cb, stop], *rest))
        with pytest.raises(RuntimeError, match="interrupted"):
            train(cfg("parts", EVERY_STEP))
    record = train(cfg("parts"))
    assert record.resumed_from and same(record, one)


class FlowingData(TopicData):
    """The same documents without numbers: a stream."""

    def train_dataloader(self):
        return DataLoader(FlowOf(self.train_set), batch_size=256, num_workers=self.hparams.num_workers)


class FlowOf(IterableDataset):
    def __init__(self, dataset):
        self.dataset = dataset

    def __iter__(self):
        info = get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)
        for i in range(first, len(self.dataset), step):
            x, y = self.dataset[i]
            yield x + 0.1 * torch.rand(()), y


@pytest.mark.parametrize("workers", [0, 2])
def test_a_module_on_a_stream_resumes_to_the_same_bits_and_records_its_workers(workers, tmp_path, monkeypatch):
    more = ("data._target_=tests.training.test_any_module.FlowingData", f"+data.num_workers={workers}")
    by_steps = ("trainer.max_steps=20", "trainer.max_epochs=null")
    whole = train(settings("topics", f"results={tmp_path}", "study=whole", *more, *by_steps))
    assert whole.environment.get("loader_workers", 0) == workers and max(whole.epochs) == 1
    fit = training_run.fit
    for step in (3, 13):
        with monkeypatch.context() as patch:
            stop = Interruption(step)
            patch.setattr(training_run, "fit", lambda c, m, d, cb, *rest, stop=stop: fit(c, m, d, [*cb, stop], *rest))
            with pytest.raises(RuntimeError, match="interrupted"):
                train(settings("topics", f"results={tmp_path}", f"study=s{step}", EVERY_STEP, *more, *by_steps))
        record = train(settings("topics", f"results={tmp_path}", f"study=s{step}", *more, *by_steps))
        assert record.resumed_from and same(record, whole), step


def test_the_classifier_too_is_recorded_where_it_was_scored(small):
    few = train(small("study=few", "trainer.max_epochs=4", "+trainer.check_val_every_n_epoch=2"))
    assert (few.epochs, few.steps, len(few.curves["val/acc"])) == ([1, 3], [23, 47], 2)
    often = train(small("study=often", "+trainer.val_check_interval=0.5"))
    assert (often.epochs, often.steps) == ([0, 0, 1, 1], [5, 11, 17, 23])
    found = [Scores.of(Study.load(study_folder(small().results, name))) for name in ("few", "often")]
    assert [(scores.axis, scores.points.tolist()) for scores in found] == [
        ("epochs trained", [2, 4]), ("steps trained", [6, 12, 18, 24]),
    ]  # fmt: skip


def test_arguments_of_data_of_others_are_those_of_the_record_when_it_is_reproduced(tmp_path, monkeypatch):
    overrides = [*MODULES["docstrings"], "trainer=cpu", "trainer.max_epochs=1", "study=a", f"results={tmp_path}"]
    command = " ".join(["python -m src.train", "seed=3", *overrides])
    monkeypatch.setattr("seedspread.training.build.reproduction_command", lambda seed: command)
    train(settings("docstrings", f"results={tmp_path}", "study=a", "trainer.max_epochs=1"))
    with initialize_config_dir(CONF, version_base="1.3"):
        assert reproduce(Study.load(study_folder(tmp_path, "a")), 3).differing == []


def test_each_seed_of_a_sweep_has_folders_of_its_own(tmp_path):
    """One config trains all seeds of a sweep: Lightning's files and a logger's are named after the seed at hand."""
    cfg, _ = open_study(settings("diabetes", f"results={tmp_path}", "study=a", "logger=csv"))
    for seed in (3, 4):
        cfg.seed = seed
        assert cfg.trainer.default_root_dir == f"logs/a/seed-{seed}" and cfg.logger.version == f"seed-{seed}"


class Odd(TopicTagger):
    """Hyperparameters with a path, a metric that is nan at first and logged in every second epoch only."""

    def __init__(self, layers=(3, 4), cache="/tmp", **more):
        super().__init__(**more)
        self.save_hyperparameters({"layers": list(layers), "cache": Path(cache)})

    def on_validation_epoch_end(self):
        if self.current_epoch % 2 == 1:
            self.log("val/odd", float("nan") if self.current_epoch == 1 else 0.5)


def test_paths_among_hyperparameters_resume_and_a_metric_may_begin_late_and_as_nan(tmp_path, monkeypatch):
    def odd(*more):
        odd = ("module._target_=tests.training.test_any_module.Odd", "metric.name=val/odd", "trainer.max_epochs=4")
        return settings("topics", f"results={tmp_path}", "study=odd", *odd, *more)

    fit = training_run.fit
    with monkeypatch.context() as patch:
        stop = Interruption(5)
        patch.setattr(training_run, "fit", lambda c, m, d, cb, *rest: fit(c, m, d, [*cb, stop], *rest))
        with pytest.raises(RuntimeError, match="interrupted"):
            train(odd(EVERY_STEP))
    record = train(odd())
    assert record.resumed_from and record.status == "finished" and record.final["val/odd"] == 0.5
    assert [value for value in record.curves["val/odd"] if value is not None] == [0.5]


class WithLoaders(TopicTagger):
    def train_dataloader(self):
        raise AssertionError("not asked for")


def test_loaders_of_the_module_itself_are_refused_before_other_data_are_read(tmp_path):
    own = "module._target_=tests.training.test_any_module.WithLoaders"
    with initialize_config_dir(CONF, version_base="1.3"):
        cfg = compose("train", [own, "study=x", f"results={tmp_path}", "trainer=cpu"], return_hydra_config=True)
    with pytest.raises(InputError, match="it has loaders of its own, which are not used; name the LightningDataModule"):
        train(cfg)
