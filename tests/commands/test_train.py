"""Seeds through the real path: Hydra's config, Lightning's trainer, records on disk."""

import os
import subprocess
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from seedspread.commands.train import train
from seedspread.config.errors import InputError
from seedspread.config.resolve import resolve_config
from seedspread.config.streams import Streams
from seedspread.execution.leases import Worker
from seedspread.records.study import Study
from seedspread.training.build import open_study
from seedspread.training.weights_hash import weights_sha256
from tests.conftest import ROOT
from tests.data.pictures import files, folder


def weights(record):
    return record.weights_sha256


def test_a_record_holds_what_it_promises(small):
    record = train(small("seed=3"))
    study = Study.load(Path(small().results) / "digits")
    assert study.record(3) == record
    assert record.status == "finished" and set(record.streams.values()) == {3}
    curves, final = record.curves, record.final
    assert record.epochs == [0, 1] and record.precision == resolve_config(small()).trainer.precision
    for key in ("train/loss", "train/acc", "val/loss", "val/acc"):
        assert len(curves[key]) == 2 and curves[key][-1] == final[key]
    right = study.predictions(3) == study.read_index().labels
    assert right.mean() == pytest.approx(final["val/acc"], abs=1e-12)
    assert record.test_examples == 500
    assert set(record.seconds) == {"setup", "train", "score"} and min(record.seconds.values()) > 0
    environment = record.environment
    assert environment["packages"]["torch"] == torch.__version__.split("+")[0]
    assert environment["threads"] == 1 and environment["accelerator"] == "cpu"


def test_seed_7_alone_and_as_the_8th_of_a_run_is_the_same_network(small):
    alone = train(small("seed=7", "study=alone"))
    run = [train(small(f"seed={seed}", "study=run")) for seed in range(8)]
    assert weights(run[7]) == weights(alone)
    assert run[7].predictions_sha256 == alone.predictions_sha256
    assert (run[7].curves, run[7].final) == (alone.curves, alone.final)
    assert len({weights(record) for record in run}) == 8


def test_another_process_trains_the_same_network(small, cache, tmp_path):
    here = train(small("seed=0", "study=here"))
    arguments = ["seed=0", "experiment=digits", "trainer=cpu", "trainer.max_epochs=2", "study=there"]
    subprocess.run(
        [os.sys.executable, "-m", "src.train", *arguments, f"results={tmp_path}/results", f"data.cache={cache}"],
        cwd=ROOT, check=True, env={**os.environ, "PYTHONHASHSEED": "5"},
    )  # fmt: skip
    there = Study.load(tmp_path / "results" / "there").record(0)
    assert weights(there) == weights(here)


def test_global_generators_do_not_matter(small):
    torch.manual_seed(1)
    np.random.seed(1)
    first = train(small("study=a"))
    torch.manual_seed(2)
    np.random.seed(2)
    assert weights(train(small("study=b"))) == weights(first)


@pytest.mark.parametrize("stream", ["init", "order", "augment"])
def test_changing_one_stream_changes_only_that(small, stream):
    """The result changes; the draws of the other two stay."""

    def draws(cfg):
        streams = Streams.of(cfg.seed, **cfg.streams)
        data = instantiate(cfg.data, _partial_=True)(streams=streams, device=torch.device("cpu"))
        loader = data.train_dataloader()
        return {
            "init": streams.init.rng().random(),
            "order": loader.sampler.permutation().tolist(),
            "augment": loader.augment.draw(streams.augment.rng(0), 100, 8).tolist(),
        }

    base, changed = small("study=base"), small("study=changed", f"streams.{stream}=99")
    before, after = draws(base), draws(changed)
    assert {name for name in before if before[name] != after[name]} == {stream}
    assert weights(train(base)) != weights(train(changed))


def test_a_stream_of_its_own_is_that_of_the_seed(small):
    whole = train(small("seed=5", "study=a"))
    parts = train(small("seed=1", "streams.init=5", "streams.order=5", "streams.augment=5", "study=b"))
    assert weights(parts) == weights(whole)


def test_a_second_call_finds_the_record(small, capsys):
    first = train(small("seed=0"))
    assert train(small("seed=0")) == first
    assert "recorded before: overwrite=true trains it again" in capsys.readouterr().out
    again = train(small("seed=0", "overwrite=true"))
    assert weights(again) == weights(first) and again.ended >= first.ended and again != first


def test_a_torn_record_is_named_and_its_seed_trained_again(small, capsys):
    first = train(small("seed=0"))
    study = Study.load(Path(small().results) / "digits")
    study.record_path(0).write_text('{"schema": 1')
    assert weights(train(small("seed=0"))) == weights(first)
    assert "000000.json: empty, torn or not JSON" in capsys.readouterr().out
    assert [path.read_text() for path in (study.folder / "damaged").iterdir()] == ['{"schema": 1']


def test_two_configs_never_mix(small):
    train(small("seed=0"))
    with pytest.raises(InputError, match=r"loss.weight: 2.0 there, 1.0 now"):
        train(small("seed=1", "loss.weight=1.0"))
    with pytest.raises(InputError, match=r"streams.init: None there, 7 now"):
        train(small("seed=1", "streams.init=7"))
    # where things lie and how they are shown does not count
    train(small("seed=1", "trainer.enable_model_summary=true", "callbacks.epoch_lines.after=1"))


def test_a_seed_that_is_being_trained_is_refused_and_its_study_keeps_its_config(small):
    _, study = open_study(small())
    with closing(Worker(study.folder)) as other:
        other.acquire([0])
        with pytest.raises(InputError, match="seed 0 is being trained by another process: "):
            train(small("seed=0"))
        with pytest.raises(InputError, match=r"loss.weight: 2.0 there, 1.0 now"):
            train(small("seed=1", "loss.weight=1.0"))
    train(small("seed=0", "loss.weight=1.0"))
    assert Study.load(study.folder).config["loss"]["weight"] == 1.0


def test_a_loss_that_is_not_finite_ends_the_seed_as_diverged(small, capsys):
    record = train(small("optimizer.lr=1e12", "trainer.max_epochs=5"))
    assert record.status == "diverged" and record.reason == "the loss was not finite in epoch 0"
    assert record.epochs == [0] and record.final["train/loss"] is None
    assert Study.load(Path(small().results) / "digits").record(0) == record
    train(small("optimizer.lr=1e12", "trainer.max_epochs=5"))
    assert "recorded before" in capsys.readouterr().out


def test_a_failing_seed_leaves_earlier_records(small):
    train(small("seed=0"))
    before = (Path(small().results) / "digits" / "seeds" / "000000.json").read_bytes()
    with pytest.raises(InputError, match="ckpt_path=nowhere.ckpt: no such file"):
        train(small("seed=1", "ckpt_path=nowhere.ckpt"))
    assert (Path(small().results) / "digits" / "seeds" / "000000.json").read_bytes() == before


@pytest.fixture
def checkpoint(small, tmp_path):
    """A checkpoint of seed 0 after the first epoch."""
    save = "callbacks.save"
    train(small(
        "study=part", "trainer.max_epochs=1", "trainer.enable_checkpointing=true",
        f"+{save}._target_=lightning.pytorch.callbacks.ModelCheckpoint", f"+{save}.dirpath={tmp_path}/saved",
    ))  # fmt: skip
    (path,) = (tmp_path / "saved").iterdir()
    return path


def test_resuming_at_an_epoch_gives_the_uninterrupted_network(small, checkpoint):
    whole = train(small("study=whole"))
    resumed = train(small("study=resumed", f"ckpt_path='{checkpoint}'"))
    assert weights(resumed) == weights(whole)
    assert (resumed.curves, resumed.final) == (whole.curves, whole.final)
    assert resumed.resumed_from == str(checkpoint) and whole.resumed_from is None


def test_a_checkpoint_that_does_not_fit_is_refused(small, checkpoint, tmp_path):
    (tmp_path / "torn.ckpt").write_bytes(checkpoint.read_bytes()[:1000])
    for overrides, says in (
        (["seed=5"], "a checkpoint of seed 0; resume it with seed=0"),
        (["model.width=4"], "a checkpoint of another network"),
        (["trainer.max_epochs=1"], "val/acc was not scored: the checkpoint is at its last epoch"),
        ([f"ckpt_path={tmp_path}/torn.ckpt"], "not a whole Lightning checkpoint"),
    ):
        with pytest.raises(InputError, match=says):
            train(small("study=no", f"ckpt_path='{checkpoint}'", *overrides))
    assert not (tmp_path / "results" / "no").exists()


@pytest.mark.parametrize("logger", ["tensorboard", "csv"])
def test_loggers_write_elsewhere_than_the_results(small, logger, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = train(small(f"logger={logger}", "seed=4"))
    assert weights(record) == weights(train(small("seed=4", "study=without")))
    assert list((tmp_path / "logs" / "digits" / "seed-4").iterdir())
    assert {path.name for path in (tmp_path / "results" / "digits").iterdir()} == {
        "study.yaml", "seeds", "examples", "running",
    }  # fmt: skip


def test_each_seed_of_a_sweep_has_logs_and_checkpoints_of_its_own(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quick = ("-m", "seed=1,2", "jobs=1", "experiment=digits", "trainer.max_epochs=1", "model.width=4")
    for logger, kept in (("csv", "metrics.csv"), ("none", "checkpoints/epoch=0-step=12.ckpt")):
        assert command(*quick, f"logger={logger}", f"study={logger}", "trainer.enable_checkpointing=true")[0] == 0
        folder = tmp_path / "logs" / logger
        found = sorted(str(path.relative_to(folder)) for path in folder.glob(f"*/{kept}"))
        assert found == [f"seed-1/{kept}", f"seed-2/{kept}"]


def test_any_network_on_a_folder_of_ones_own_pictures(config, tmp_path):
    source = folder(tmp_path / "mine", files(train=12, test=4, classes="abc"))
    own = [f"data.source={source}", f"data.cache={tmp_path}/cache", "data.size=32", "data.batch_size=9"]
    own += ["trainer=cpu", "trainer.max_epochs=2"]
    networks = {
        "resnet18": ["model._target_=torchvision.models.resnet18", "+model.num_classes=3"],
        "timm": ["model._target_=timm.create_model", "+model.model_name=resnet10t", "+model.num_classes=3"],
        "resnet9": ["model.width=4"],
    }
    for study, model in networks.items():
        records = [train(config("data=class_folders", *own, *model, f"study={study}", f"seed={s}")) for s in (0, 1)]
        assert [record.status for record in records] == ["finished"] * 2
        assert len({weights(record) for record in records}) == 2
        assert records[0].test_examples == 12
    stored = Study.load(Path(config().results) / "resnet18").config["model"]
    assert stored == {"_target_": "torchvision.models.resnet18", "num_classes": 3}


def test_a_recorded_seed_is_not_answered_for_other_data(config, command, tmp_path, monkeypatch):
    sources = {
        name: folder(tmp_path / name, files(train=12, test=4, classes=classes))
        for name, classes in (("mine", "abc"), ("same", "abc"), ("other", "abd"))
    }
    own = ("data=class_folders", f"data.cache={tmp_path}/cache", "data.size=32", "data.batch_size=9", "study=mine")
    own += ("model.width=4", "trainer.max_epochs=1")
    assert command("seed=0", f"data.source={sources['mine']}", *own)[0] == 0
    for name, code in (("mine", 0), ("same", 0), ("other", 1)):
        for sweep in ((), ("-m", "jobs=1")):
            found, out, err = command(*sweep, "seed=0", f"data.source={sources[name]}", *own)
            assert found == code, (name, sweep, err)
            if code == 0:
                assert "recorded before" in out or "1 of 1 seeds have their records" in out
            else:
                assert "mine holds results on other data" in err
    monkeypatch.setattr("seedspread.data.picture_data.load_pictures", lambda *_: 1 / 0)
    os.utime(sources["mine"], (0, 0))
    assert command("seed=0", f"data.source={sources['mine']}", *own)[0] == 0  # the place that the record names
    assert "ZeroDivisionError" in command("seed=0", f"data.source={sources['same']}", *own)[2]


def test_the_hash_does_not_depend_on_the_memory_layout():
    net = torch.nn.Conv2d(3, 8, 3)
    plain = weights_sha256(net)
    assert weights_sha256(net.to(memory_format=torch.channels_last)) == plain
    with torch.no_grad():
        net.bias[0] += 1e-3
    assert weights_sha256(net) != plain


def test_real_pictures_reach_the_promised_accuracy_in_two_epochs(config, cifar_pictures):
    record = train(
        config("experiment=cifar_quick", f"data.source={cifar_pictures}", "trainer.max_epochs=2", "trainer=cpu")
    )
    assert record.final["val/acc"] > 0.2 and record.test_examples == 2000
